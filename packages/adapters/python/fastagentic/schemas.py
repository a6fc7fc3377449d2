"""Type hints as JSON Schema, and values between Python and JSON; models of pydantic where user code has them."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import enum
import math
import sys
import types
import typing
import uuid
from typing import Any

STRINGS: dict[Any, str | None] = {
    str: None,
    datetime.datetime: "date-time",
    datetime.date: "date",
    uuid.UUID: "uuid",
}
PLAIN: dict[Any, str] = {int: "integer", float: "number", bool: "boolean", type(None): "null"}
LISTS = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Iterable)
MAPS = (dict, collections.abc.Mapping)


class NoSchema(TypeError):
    """A type has no JSON form."""


def is_model(hint: Any) -> bool:
    """Whether a type is a model of pydantic."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(hint, type) and issubclass(hint, pydantic.BaseModel)


def schema_of(hint: Any) -> dict[str, Any]:
    """A self-contained JSON Schema of a type."""
    definitions: dict[str, Any] = {}
    schema = _schema(hint, definitions)
    return {**schema, "$defs": definitions} if definitions else schema


def _schema(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if hint is Any or hint is object:
        return {}
    if hint in STRINGS:
        form = STRINGS[hint]
        return {"type": "string"} if form is None else {"type": "string", "format": form}
    if hint in PLAIN or hint is None:
        return {"type": PLAIN.get(hint, "null")}
    if is_model(hint):
        schema = hint.model_json_schema()
        definitions.update(schema.pop("$defs", {}))
        return schema
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"enum": [encode(one) for one in hint]}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = typing.get_type_hints(hint, include_extras=True)
        required = [
            field.name
            for field in dataclasses.fields(hint)
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        ]
        return _object({field.name: hints[field.name] for field in dataclasses.fields(hint)}, required, definitions)
    if typing.is_typeddict(hint):
        return _object(typing.get_type_hints(hint), sorted(hint.__required_keys__), definitions)
    return _generic(hint, definitions)


def _generic(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        schema = _schema(arguments[0], definitions)
        texts = [one for one in arguments[1:] if isinstance(one, str)]
        return {**schema, "description": texts[0]} if texts else schema
    if origin in (typing.Required, typing.NotRequired):
        return _schema(arguments[0], definitions)
    if origin is typing.Literal:
        return {"enum": [encode(one) for one in arguments]}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(one, definitions) for one in arguments]}
    base = origin or hint
    if base in LISTS:
        items = [one for one in arguments if one is not Ellipsis]
        if base is tuple and Ellipsis not in arguments and items:
            fixed = [_schema(one, definitions) for one in items]
            return {"type": "array", "prefixItems": fixed, "minItems": len(fixed), "maxItems": len(fixed)}
        return {"type": "array", "items": _schema(items[0], definitions)} if items else {"type": "array"}
    if base in MAPS:
        values = _schema(arguments[1], definitions) if len(arguments) == 2 else {}
        return {"type": "object", "additionalProperties": values}
    raise NoSchema(f"{hint!r} has no JSON Schema; use types of JSON, dataclasses, TypedDict, Enum or pydantic models")


def _object(hints: dict[str, Any], required: list[str], definitions: dict[str, Any]) -> dict[str, Any]:
    properties = {name: _schema(one, definitions) for name, one in hints.items()}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def decode(hint: Any, value: Any) -> Any:
    """A JSON value as the type says; the server has checked that it fits."""
    if is_model(hint):
        return hint.model_validate(value)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return next(one for one in hint if encode(one) == value)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = typing.get_type_hints(hint, include_extras=True)
        return hint(**{name: decode(hints[name], one) for name, one in value.items()})
    if hint in (datetime.datetime, datetime.date):
        return hint.fromisoformat(value)
    if hint is uuid.UUID:
        return uuid.UUID(value)
    if hint is float and isinstance(value, int):
        return float(value)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Annotated, typing.Required, typing.NotRequired):
        return decode(arguments[0], value)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(arguments, value)
    if origin in LISTS and isinstance(value, list):
        return _decode_list(origin, arguments, value)
    if origin in MAPS and len(arguments) == 2 and isinstance(value, dict):
        return {key: decode(arguments[1], one) for key, one in value.items()}
    if typing.is_typeddict(hint):
        hints = typing.get_type_hints(hint)
        return {name: decode(hints.get(name, Any), one) for name, one in value.items()}
    return value


def _decode_union(arguments: tuple[Any, ...], value: Any) -> Any:
    """The first member that takes the value."""
    if value is None and type(None) in arguments:
        return None
    plain: dict[Any, Any] = {str: str, int: int, float: (int, float), bool: bool}
    for one in arguments:
        if one in plain:
            if isinstance(value, plain[one]) and (one is bool or not isinstance(value, bool)):
                return value
        elif one is not type(None):
            try:
                return decode(one, value)
            except Exception:  # noqa: BLE001 - the next member may take it
                continue
    return value


def _decode_list(origin: Any, arguments: tuple[Any, ...], value: list[Any]) -> Any:
    if origin is tuple and Ellipsis not in arguments:
        return tuple(decode(hint, one) for hint, one in zip(arguments, value, strict=False))
    items = [decode(arguments[0], one) for one in value]
    return origin(items) if origin in (list, tuple, set, frozenset) else items


def encode(value: Any) -> Any:
    """A value as JSON; fails with `TypeError` for one that has no JSON form."""
    if value is None or isinstance(value, (bool, int, str)):
        return value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise TypeError(f"{value} is no JSON")
    if isinstance(value, dict):
        return {_key(key): encode(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [encode(one) for one in value]
    if isinstance(value, enum.Enum):
        return encode(value.value)
    if is_model(type(value)):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    raise TypeError(f"a value of the type {type(value).__name__} is no JSON")


def _key(key: Any) -> str:
    if isinstance(key, enum.Enum):
        return _key(key.value)
    if isinstance(key, str):
        return key
    raise TypeError(f"the key {key!r} is no text")
