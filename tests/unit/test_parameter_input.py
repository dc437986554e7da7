"""Whatever is given to the parameter store, it answers with a result or one line: never with another exception, never with the value."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statectl.errors import StatectlError
from statectl.parameters.model import Filter
from statectl.secrets import Secret
from tests.unit.parameter_stores import Place

ODD = st.one_of(
    st.text(max_size=40),
    st.text(st.characters(), max_size=20),
    st.sampled_from(
        [
            "/a",
            "a//b",
            "/a:",
            "/a:1",
            ":",
            "/a:1:2",
            "/",
            "",
            " ",
            "\0",
            "\ud800",
            "/statectl/public/x",
            "{{x}}",
            "%",
            "'",
            "1" * 50,
        ]
    ),
    st.from_regex(r"/[a-z./_:-]{0,20}", fullmatch=True),
)
POLICY = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.text(max_size=10),
        st.sampled_from(["Expiration", "1.0", "Days", "9" * 400]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["Type", "Version", "Attributes", "Timestamp", "Before", "After", "Unit", "x"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("store"))
    made = place.store()
    made.put("/a", "1", type="String")
    made.put("/s", Secret("canary-Qx7z"), type="SecureString")
    yield made
    place.close()


def answered(verb, *arguments, **named) -> None:
    """A result, or an error with a code, in one line, without the secret."""
    said = None
    try:
        verb(*arguments, **named)
    except StatectlError as error:
        said = error
    if said is not None:
        assert said.code
        assert len(said.message) < 1000
        assert "canary" not in f"{said.message}{said.hint}"


@settings(max_examples=150)
@given(name=ODD, other=ODD, value=ODD, number=st.integers(-5, 2**70))
def test_any_text(store, name, other, value, number):
    """Names, selectors, values, labels, tags, reasons, filters, paths."""
    answered(store.get, name)
    answered(store.get_many, [name, other])
    answered(store.history, name)
    answered(store.put, name, value, type="String", overwrite=True, description=other, why=other, tags={other: value})
    answered(store.put, "/b", value, type=other, overwrite=True)
    answered(store.put, "/b", value, type="String", overwrite=True, data_type=other)
    answered(store.put, "/b", value, type="String", overwrite=True, expected_version=number)
    answered(store.put, "/b", "x", type="String", overwrite=True, why=other)
    answered(store.put, "/b", "x", type="String", overwrite=True, description=other)
    answered(store.label, "/a", number, [other])
    answered(store.unlabel, "/a", number, [other])
    answered(store.tag, "/a", {other: value}, [name])
    answered(store.put_back, "/a", number)
    answered(store.by_path, name, recursive=True, after=other)
    answered(store.describe, name, filters=[Filter(f"tag:{other}", (value,))])
    answered(store.describe, filters=[Filter(other, (value,), "Contains")])
    answered(store.describe, filters=[Filter("Name", (value,), "BeginsWith")])
    answered(store.copy, name, other)
    answered(store.move, name, other, recursive=True)
    answered(store.restore, name)
    answered(store.watch, name, number)
    answered(store.delete_many, [name, other])
    secrets = store.by_path("/", recursive=True, filters=[Filter("Type", ("SecureString",))], decrypt=True).parameters
    assert {one.value.reveal() for one in secrets} <= {"canary-Qx7z"}
    store.put("/s", Secret("canary-Qx7z"), type="SecureString", overwrite=True)  # it may have been moved or deleted


@settings(max_examples=200)
@given(policies=POLICY)
def test_any_policies(store, policies):
    """Whatever JSON may hold."""
    answered(store.put, "/p", "x", type="String", overwrite=True, policies=policies)
    json.dumps(store.due())


@settings(max_examples=15)
@given(pattern=st.one_of(ODD, st.from_regex(r"[\[\](){}*+?|a.^$\\]{1,12}", fullmatch=True)))
def test_any_pattern(store, pattern):
    """Whatever a regular expression may be."""
    answered(store.put, "/r", "aaa", type="String", overwrite=True, allowed_pattern=pattern)


@settings(max_examples=200)
@given(
    data_type=st.sampled_from(
        ["json", "jsonc", "url", "email", "hostname", "binary", "float", "integer", "ipv4-address", "ipv6-address"]
    ),
    value=st.one_of(ODD, st.sampled_from(["[" * 5000, "1" * 5000, "http://[", "a@b", '"\\ud800"'])),
)
def test_any_value_of_a_data_type(store, data_type, value):
    """A value is of its type, or is refused."""
    answered(store.put, "/d", value, type="String", overwrite=True, data_type=data_type)
