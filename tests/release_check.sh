#!/bin/sh
# Builds the sdist and the wheel of the last commit, installs each in a fresh virtual environment,
# and lets each learn and watch: `release_check.sh FOLDER`.
set -eu
folder=$1
python=${PYTHON:-python3}
rm -rf "$folder"
mkdir -p "$folder/source" "$folder/work"
git archive HEAD | tar -x -C "$folder/source"
"$python" -m venv "$folder/tools"
"$folder/tools/bin/pip" install --quiet --disable-pip-version-check build
"$folder/tools/bin/python" -m build --outdir "$folder" "$folder/source" > "$folder/build.log" 2>&1 ||
  { cat "$folder/build.log"; exit 1; }
version=$(sed -n 's/^## \([0-9.]*\).*/\1/p' "$folder/source/CHANGELOG.md" | head -1)
for built in "$folder"/*.whl "$folder"/*.tar.gz; do
  fresh=$folder/fresh
  rm -rf "$fresh"
  "$python" -m venv "$fresh"
  "$fresh/bin/pip" install --quiet --disable-pip-version-check "$built"
  [ "$("$fresh/bin/semedge" --version)" = "semedge, version $version" ] ||
    { echo "$built does not have the version $version of CHANGELOG.md."; exit 1; }
  "$fresh/bin/semedge" learn --camera "sim:1?size=128x96&frames=40" --accept-weaker \
    --name line --out "$folder/work/line.recipe" --replace 2> "$folder/learn.log" ||
    { cat "$folder/learn.log"; exit 1; }
  "$fresh/bin/semedge" watch --camera "sim:2?size=128x96&frames=5" --recipe "$folder/work/line.recipe" \
    --journal "$folder/work/journal.sqlite" --pictures "$folder/work/pictures" 2> "$folder/watch.log" ||
    { cat "$folder/watch.log"; exit 1; }
  rm -rf "$folder/work/line.frames" "$folder/work/journal.sqlite"*
  echo "$(basename "$built") installs, learns and watches as version $version."
done
rm -rf "$folder/tools" "$folder/fresh" "$folder/source" "$folder/work"
