"""What the documents say of the tree, held against the tree."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("shared", "collector", "predictor", "api", "simulator", "deploy")
DOCUMENTS = (
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
)
_CODE = re.compile(r"`([^`\s]+)`")
_LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)[^)]*\)")
_BEGINS = tuple(f"{name}/" for name in (*PACKAGES, "tests", "benchmarks", "docs", "requirements"))


def read_map() -> set[str]:
    """The folders that the map of ARCHITECTURE.md names."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = text[text.index("## The map") : text.index("import-linter")]
    return {
        name.rstrip("/")
        for row in rows.splitlines()
        if row.startswith("| `")
        for name in _CODE.findall(row.split("|")[1])
    }


def test_the_map_names_every_folder_of_code_and_no_other() -> None:
    """A reader guesses the file from the map."""
    folders = {
        path.parent.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("__init__.py")
    }
    # Which is nothing but what the other folders lie in.
    folders -= {"deploy"}
    named = read_map()
    assert folders - named == set()
    assert [name for name in named if not (ROOT / name).is_dir()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_a_document_names_is_there(document: str) -> None:
    """By a path in code or by a link; a pattern names at least one."""
    path = ROOT / document
    text = path.read_text(encoding="utf-8")
    named = {name.split("::")[0] for name in _CODE.findall(text) if name.startswith(_BEGINS) and "…" not in name}
    # A new file's number is not known yet.
    named = {name.replace("NNNN_name", "[0-9]*") for name in named if "<" not in name}
    missing = {name for name in named if not any(ROOT.glob(name.rstrip("/")))}
    missing |= {link for link in _LINK.findall(text) if not (path.parent / link).exists()}
    assert missing == set()
