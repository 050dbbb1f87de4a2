"""The fields of an answer: one declaration for its SQL, its JSON and CSV, and the schema that OpenAPI shows.

A field has a name, a type and a description. A single value's type is a `Kind`; the others are put together from
those: an `Object`, a `Pair`, a `ListOf` or a `MapOf`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, NamedTuple, Protocol, TypeAlias

from api.kinds import Kind, Schema


class Values(Protocol):
    """Values by name: a row of the database, or a mapping."""

    def __getitem__(self, name: str, /) -> Any:
        """Return the value of that name."""


class Column(NamedTuple):
    """One column of a table: a single value of each row.

    `is_nullable` says that the value itself may be null, `is_optional` that the object may be that it belongs to.
    """

    name: str
    kind: Kind
    sql: str
    is_nullable: bool
    is_optional: bool = False

    def text_sql(self) -> str:
        """Return the SQL of its text, which is `null` for null."""
        text = self.kind.text_sql.format(self.sql)
        return f"coalesce({text}, 'null')" if self.is_nullable or self.is_optional else text


@dataclass(frozen=True)
class Field:
    """A member of an answer.

    `sql` is the expression that it is read with, and `column` its name in a result and in CSV: its own name unless
    they are given. A field that is not required may be left out.
    """

    name: str
    type: "Type"
    description: str
    example: object = None
    sql: str = ""
    column: str = ""
    is_nullable: bool = False
    is_required: bool = True
    limits: Mapping[str, float] = dataclass_field(default_factory=dict)
    """`minimum` and `maximum` of its value, or of a list `minItems`."""

    @property
    def result(self) -> str:
        """The name in a result."""
        return self.column or self.name

    def describe_value(self) -> Schema:
        """Return the JSON Schema of its value."""
        schema = self.type.describe() | dict(self.limits)
        return {"anyOf": [schema, {"type": "null"}]} if self.is_nullable else schema

    def describe(self) -> Schema:
        """Return the JSON Schema of the member, with its description."""
        schema = self.describe_value()
        schema["description"] = self.description
        if self.example is not None or self.is_nullable:
            schema["examples"] = [self.example]
        return schema

    def columns(self) -> Iterator[Column]:
        """Yield the single values that it is made of in a table, in order."""
        if isinstance(self.type, Kind):
            yield Column(self.result, self.type, self.sql or self.name, self.is_nullable)
        elif isinstance(self.type, Object | Pair):
            for member in self.type.fields:
                for column in member.columns():
                    yield column._replace(is_optional=True) if self.is_nullable else column

    def template(self) -> str:
        """Return what JSON has of it in a row, with a `%s` for each of its columns.

        A text stands in quotes unless it can be null: then its quotes are a part of what is put in.
        """
        if isinstance(self.type, Object | Pair):
            return self.type.template()
        return '"%s"' if isinstance(self.type, Kind) and self.type.is_quoted and not self.is_nullable else "%s"


@dataclass(frozen=True)
class Object:
    """A JSON object with these members and no others, which the documentation shows under its name."""

    name: str
    description: str
    fields: tuple[Field, ...]

    def describe(self) -> Schema:
        """Return a reference to the object's schema."""
        return {"$ref": f"#/components/schemas/{self.name}"}

    def objects(self) -> Iterator["Object"]:
        """Yield the objects that it is made of, itself included."""
        yield self
        for member in self.fields:
            yield from member.type.objects()

    def template(self) -> str:
        """Return the JSON of one, with a `%s` for each of its columns."""
        return "{" + ",".join(f'"{member.name}":{member.template()}' for member in self.fields) + "}"

    def component(self) -> Schema:
        """Return the JSON Schema of the object itself."""
        return {
            "type": "object",
            "description": self.description,
            "properties": {member.name: member.describe() for member in self.fields},
            "required": [member.name for member in self.fields if member.is_required],
            "additionalProperties": False,
        }


@dataclass(frozen=True)
class Pair:
    """A JSON array of two values of one kind."""

    first: Field
    second: Field

    @property
    def fields(self) -> tuple[Field, Field]:
        """Both, in order."""
        return self.first, self.second

    def describe(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "array", "items": self.first.describe_value(), "minItems": 2, "maxItems": 2}

    def template(self) -> str:
        """Return the JSON of one, with two `%s`."""
        return f"[{self.first.template()},{self.second.template()}]"

    def objects(self) -> Iterator[Object]:
        """Yield none."""
        return iter(())


@dataclass(frozen=True)
class ListOf:
    """A JSON array, whose items may be null where it says so."""

    item: "Type"
    is_nullable: bool = False

    def describe(self) -> Schema:
        """Return the JSON Schema."""
        item = self.item.describe()
        return {"type": "array", "items": {"anyOf": [item, {"type": "null"}]} if self.is_nullable else item}

    def objects(self) -> Iterator[Object]:
        """Yield the items' objects."""
        return self.item.objects()


@dataclass(frozen=True)
class MapOf:
    """A JSON object whose members' names are not known beforehand, such as symbols."""

    value: "Type"

    def describe(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "object", "additionalProperties": self.value.describe()}

    def objects(self) -> Iterator[Object]:
        """Yield the members' objects."""
        return self.value.objects()


@dataclass(frozen=True)
class EitherOf:
    """One of several types."""

    types: tuple["Type", ...]

    def describe(self) -> Schema:
        """Return the JSON Schema."""
        return {"anyOf": [each.describe() for each in self.types]}

    def objects(self) -> Iterator[Object]:
        """Yield the objects of all."""
        return (found for each in self.types for found in each.objects())


Type: TypeAlias = Kind | Object | Pair | ListOf | MapOf | EitherOf


def make_select_list(fields: Iterable[Field]) -> str:
    """Return the select list of a row that `read_row` reads."""
    return ", ".join(
        f"{column.kind.value_sql.format(column.sql)} AS {column.name}" for each in fields for column in each.columns()
    )


def read_row(fields: Iterable[Field], row: Values) -> dict[str, object]:
    """Return the fields' values as JSON has them, by name; lists and maps among the fields are left out."""
    return {each.name: _read(each, row) for each in fields if isinstance(each.type, Kind | Object | Pair)}


def _read(field: Field, row: Values) -> object:
    kind = field.type
    if isinstance(kind, Kind):
        value = row[field.result]
        return None if value is None else kind.read(value)
    if isinstance(kind, Pair):
        return [_read(member, row) for member in kind.fields]
    return read_row(kind.fields, row) if isinstance(kind, Object) else None


def describe_components(answers: Iterable[Object]) -> dict[str, Schema]:
    """Return the schemas of the answers and of all objects in them, by name."""
    return {found.name: found.component() for answer in answers for found in answer.objects()}
