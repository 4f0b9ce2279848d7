"""Nodes of an OPC UA server with ids from their names, which clients may keep.

The id of a node is its path, such as `ns=2;s=Station/VisionSystems/top/FramesLost`: it stays when
cameras are added or their order changes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from semedge.core.optional import import_extra

SCALAR, ONE_DIMENSION = -1, 1
"""Ranks of values in OPC UA."""


@dataclass(frozen=True)
class Argument:
    """An argument of a method: its name, its type (`String[]` for a list) and its meaning."""

    name: str
    type: str
    meaning: str = ""


@dataclass(frozen=True)
class Method:
    """A method: what it takes, what it returns, and its effect."""

    name: str
    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]
    effect: str


class Tree:
    """Adds nodes below one another.

    Parameters
    ----------
    index
        Number of the namespace.
    """

    def __init__(self, index: int) -> None:
        self._ua = import_extra("asyncua.ua", "opcua", "An OPC UA sink")
        self._index = index

    async def add_object(self, parent: Any, path: str) -> Any:
        """An object with the last part of `path` as its name."""
        return await parent.add_object(*self._named(path))

    async def add_folder(self, parent: Any, path: str) -> Any:
        """A folder."""
        return await parent.add_folder(*self._named(path))

    async def add_property(self, parent: Any, path: str, value: Any, type_name: str) -> Any:
        """A property that stays as it is."""
        return await parent.add_property(*self._named(path), value, self.variant(type_name))

    async def add_variable(self, parent: Any, path: str, value: Any, type_name: str) -> Any:
        """A variable."""
        return await parent.add_variable(*self._named(path), value, self.variant(type_name))

    async def add_event_type(
        self, base: Any, path: str, properties: Sequence[tuple[str, str]]
    ) -> Any:
        """A type of events with properties, each with its type."""
        kind = await base.add_object_type(*self._named(path))
        for name, type_name in properties:
            variant = self.variant(type_name)
            await kind.add_property(
                *self._named(f"{path}/{name}"), self._ua.get_default_value(variant), variant
            )
        return kind

    async def add_method(
        self, parent: Any, path: str, method: Method, run: Callable[..., Awaitable[Any]]
    ) -> None:
        """A method; wrong arguments are answered by a status, and `run` is not called."""
        node = await parent.add_method(*self._named(path), self._checked(method, run))
        for name, arguments in (
            ("InputArguments", method.inputs),
            ("OutputArguments", method.outputs),
        ):
            if arguments:
                await node.add_property(
                    self._id(f"{path}/{name}"),
                    self._ua.QualifiedName(name, 0),
                    [self._described(argument) for argument in arguments],
                    varianttype=self._ua.VariantType.ExtensionObject,
                    datatype=self._ua.NodeId(self._ua.ObjectIds.Argument),
                )

    def variant(self, type_name: str) -> Any:
        """The type of a value by its name, which may end in `[]`."""
        return self._ua.VariantType[type_name.removesuffix("[]")]

    def _id(self, path: str) -> Any:
        return self._ua.NodeId(path, self._index)

    def _named(self, path: str) -> tuple[Any, Any]:
        """Id and name of the node at a path."""
        name = path.rpartition("/")[2]
        return self._id(path), self._ua.QualifiedName(name, self._index)

    def _described(self, argument: Argument) -> Any:
        ua = self._ua
        is_list = argument.type.endswith("[]")
        return ua.Argument(
            Name=argument.name,
            DataType=ua.NodeId(getattr(ua.ObjectIds, argument.type.removesuffix("[]"))),
            ValueRank=ONE_DIMENSION if is_list else SCALAR,
            ArrayDimensions=[0] if is_list else [],
            Description=ua.LocalizedText(argument.meaning),
        )

    def _checked(self, method: Method, run: Callable[..., Awaitable[Any]]) -> Any:
        ua = self._ua
        expected = [self.variant(argument.type) for argument in method.inputs]

        async def call(_parent: Any, *given: Any) -> Any:
            if len(given) != len(expected):
                missing = len(given) < len(expected)
                codes = ua.StatusCodes
                return ua.StatusCode(
                    codes.BadArgumentsMissing if missing else codes.BadTooManyArguments
                )
            fits = [
                each.VariantType == kind and not each.is_array and each.Value is not None
                for each, kind in zip(given, expected, strict=True)
            ]
            if not all(fits):
                result = ua.CallMethodResult()
                result.StatusCode = ua.StatusCode(ua.StatusCodes.BadInvalidArgument)
                result.InputArgumentResults = [
                    ua.StatusCode(ua.StatusCodes.Good if fit else ua.StatusCodes.BadTypeMismatch)
                    for fit in fits
                ]
                return result
            values = await run(*(each.Value for each in given))
            return [
                ua.Variant(value, self.variant(argument.type), is_array=argument.type[-2:] == "[]")
                for value, argument in zip(values, method.outputs, strict=True)
            ]

        return call
