"""Order of the tests' files."""

# Each takes a minute or more. Begun last, one of them would keep one process busy after the others
# have ended.
LONG = ("test_workflow", "test_extending", "test_kills", "test_offline", "test_current")


def pytest_collection_modifyitems(items: list) -> None:
    """Long files first; the order is else as it was."""
    items.sort(key=lambda item: item.path.stem not in LONG)
