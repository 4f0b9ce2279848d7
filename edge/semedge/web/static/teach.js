export function openTeach() {}
export function showTeach() {}
export function startTeach() {}
