from __future__ import annotations

import hl7
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.domain.hl7.reader import (
    Delimiters,
    escape,
    read_interchange,
    unescape,
)
from tests.unit.intake.hl7_samples import (
    A04,
    BATCH,
    ENHANCED,
    needs_samples,
    read_one,
    read_sample,
    sample_names,
)

SHORT = b"MSH|^~\\&||Clinic^1^NPI|||202001010900||ADT^A04^ADT_A01|7|P|2.5.1\rPV1|1|E\r"


def codes(body: bytes) -> list[str]:
    interchange = read_interchange(body)
    found = [finding.code for finding in interchange.findings]
    return found + [one.code for message in interchange.messages for one in message.findings]


@pytest.mark.parametrize("ending", [b"\r", b"\n", b"\r\n", b" \r\n", b"\r\r"])
def test_any_line_end_gives_the_same_message(ending: bytes) -> None:
    message = read_one(SHORT.replace(b"\r", ending))
    assert [segment.name for segment in message.segments] == ["MSH", "PV1"]
    assert message.digest == read_one(SHORT).digest


@pytest.mark.parametrize("framed", [b"\x0b" + SHORT + b"\x1c\r", b"\n\n" + SHORT + b"  \n"])
def test_framing_and_blank_lines_are_no_content(framed: bytes) -> None:
    assert read_one(framed).digest == read_one(SHORT).digest


def test_a_byte_order_mark_is_a_finding_and_no_content() -> None:
    body = b"\xef\xbb\xbf" + SHORT
    assert read_one(body).digest == read_one(SHORT).digest
    assert codes(body) == ["byte_order_mark"]


def test_utf_16_with_its_mark_is_read() -> None:
    assert read_one(SHORT.decode().encode("utf-16")).digest == read_one(SHORT).digest


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("UNICODE UTF-8", "utf-8"),
        ("GB 18030-2000", "gb18030"),
        ("GB18030", "gb18030"),
        ("8859/1", "latin-1"),
        ("", "utf-8"),
        ("", "gb18030"),
    ],
)
def test_text_is_read_in_the_characters_it_is_written_in(charset: str, codec: str) -> None:
    name = "Hôpital" if codec == "latin-1" else "儿童医院發热門診"
    head = f"MSH|^~\\&|HIS|{name}|||202001010900||ADT^A04|7|P|2.5.1||||||{charset}\r"
    body = (head + f"PV2|||^{name}\r").encode(codec)
    message = read_one(body)
    assert message.first("PV2") is not None
    assert [segment.text(3, 2) for segment in message.all("PV2")] == [name]
    assert codes(body) == []


def test_a_gb18030_pair_that_holds_a_delimiter_byte_stays_one_letter() -> None:
    letter = next(
        pair for lead in range(0x81, 0xFF) if (pair := bytes((lead, 0x7C)).decode("gb18030"))
    )
    head = f"MSH|^~\\&|HIS|{letter}|||202001010900||ADT^A04|7|P|2.5.1||||||GB 18030-2000\r"
    message = read_one(head.encode("gb18030"))
    assert message.header is not None
    assert message.header.text(4) == letter
    assert message.header.text(10) == "7"


def test_a_wrong_or_unknown_character_set_is_a_finding_and_the_text_is_read() -> None:
    head = "MSH|^~\\&|HIS|儿童医院|||202001010900||ADT^A04|7|P|2.5.1||||||{}\r"
    wrong = head.format("UNICODE UTF-8").encode("gb18030")
    assert codes(wrong) == ["charset_mismatch"]
    assert read_one(wrong).segments[0].text(4) == "儿童医院"
    assert codes(head.format("KLINGON").encode()) == ["charset_unknown"]


def test_chinese_that_is_sound_utf_8_by_chance_is_still_read_as_chinese() -> None:
    body = "MSH|^~\\&|HIS|医院|||202001010900||ADT^A04|7|P|2.5.1\r".encode("gb18030")
    assert body.decode("utf-8") != body.decode("gb18030")
    assert read_one(body).segments[0].text(4) == "医院"
    assert codes(body) == ["charset_assumed"]


@pytest.mark.parametrize("charset", ["", "UNICODE UTF-8", "GB 18030-2000", "8859/1"])
def test_a_stray_byte_never_joins_two_fields(charset: str) -> None:
    head = f"MSH|^~\\&|HIS|H?|||202001010900||ADT^A04|7|P|2.5.1||||||{charset}\r"
    message = read_one(head.encode().replace(b"?", b"\xe5") + b"PV2|||^x\r")
    assert message.segments[0].text(10) == "7"
    assert message.segments[0].text(12) == "2.5.1"


@pytest.mark.parametrize("charset", ["", "GB 18030-2000"])
def test_one_stray_byte_costs_chinese_text_one_letter(charset: str) -> None:
    head = f"MSH|^~\\&|HIS|儿童医院|||202001010900||ADT^A04|7|P|2.5.1||||||{charset}\r"
    body = head.encode("gb18030") + "PV2|||^发热".encode("gb18030") + b"\xe5\r"
    message = read_one(body)
    assert message.segments[0].text(4) == "儿童医院"
    assert message.segments[1].text(3, 2).startswith("发热")
    assert codes(body) == ["charset_mismatch"]


def test_latin_letters_in_utf_8_stay_latin() -> None:
    body = "MSH|^~\\&|HIS|Hôpital|||202001010900||ADT^A04|7|P|2.5.1\r".encode()
    assert read_one(body).segments[0].text(4) == "Hôpital"


def test_five_encoding_characters_are_read() -> None:
    message = read_one(SHORT.replace(b"^~\\&", b"^~\\&#"))
    assert message.segments[0].text(9, 2) == "A04"
    assert message.findings == ()


def test_own_delimiters_are_read() -> None:
    message = read_one(b"MSH$*@!%$$Clinic*1*NPI$$$$$ADT*A04$7$P$2.5.1\rPV2$$$*a!S!b%c@d\r")
    assert message.segments[0].text(9, 2) == "A04"
    assert message.segments[1].text(3, 2) == "a*b"
    assert message.segments[1].text(3, 2, subcomponent=2) == "c"
    assert message.segments[1].text(3, repetition=2) == "d"


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"MSH^~\\&||Clinic^1^NPI", "MSH-1"),
        (b"MSH#^~\\&||Clinic^1^NPI", "MSH-1"),
        (b"MSH|||Clinic^1^NPI", "MSH-2"),
        (b"MSH|\x01@@||Clinic^1^NPI", "MSH-2"),
        (b"MSH|^^^^||Clinic^1^NPI", "MSH-2"),
        (b"MSH|!$%*||Clinic^1^NPI", "MSH-2"),
        (b"MSH|^~||Clinic^1^NPI", "MSH-2"),
    ],
)
def test_broken_delimiters_are_a_finding_and_the_usual_ones_are_used(
    line: bytes, field: str
) -> None:
    message = read_one(SHORT.replace(b"MSH|^~\\&||Clinic^1^NPI", line))
    assert [finding.field for finding in message.findings] == [field]
    assert message.segments[0].text(9, 2) == "A04"
    assert message.segments[0].text(4) == "Clinic"
    assert message.segments[0].text(10) == "7"


def test_a_line_break_inside_a_value_goes_back_into_the_value() -> None:
    message = read_one(SHORT + b"OBX|1|TX|8661-1^^LN||fever\nand cough||||||F\r")
    assert message.segments[-1].whole(5) == "fever\nand cough"
    assert [finding.code for finding in message.findings] == ["line_continued"]


def test_null_reads_as_absent_and_control_characters_are_dropped() -> None:
    message = read_one(SHORT + b'PV2|||""|a\x00b\x01\r')
    assert message.segments[-1].text(3) == ""
    assert message.segments[-1].text(4) == "ab"


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\", "a|b^c&d~e\\"),
        ("one\\.br\\two", "one\ntwo"),
        ("\\H\\bold\\N\\", "bold"),
        ("\\XE58F91\\", "发"),
        ("C:\\temp", "C:\\temp"),
        ("\\Zlocal\\", "\\Zlocal\\"),
        ("\\XZZ\\", "\\XZZ\\"),
    ],
)
def test_escape_sequences(raw: str, value: str) -> None:
    assert unescape(raw) == value


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_unescape_undoes_escape(value: str) -> None:
    escaped = escape(value)
    assert unescape(escaped) == value
    assert not set("|^~&\r\n") & set(escaped)


@given(st.text(alphabet="a!$*@%|^~\\&\r\n"))
def test_unescape_undoes_escape_with_own_delimiters(value: str) -> None:
    own = Delimiters("$", "*", "@", "!", "%")
    assert unescape(escape(value, own), own) == value


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_random_bytes_never_crash(body: bytes) -> None:
    interchange = read_interchange(body)
    assert interchange.is_batch or len(interchange.messages) == 1


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from([b"MSH|^~\\&|", b"MSH", b"BHS|", b"BTS|1", b"\r", b"\\X", b"\xff"]))
)
def test_pieces_of_messages_never_crash(pieces: list[bytes]) -> None:
    for message in read_interchange(b"".join(pieces)).messages:
        for segment in message.segments:
            assert isinstance(segment.text(9, 2), str)


@pytest.mark.parametrize("body", [b"", b"\r\n", b"AAA|^~\\&|x\r", b"hello", b"\x0b\x1c\r"])
def test_without_msh_there_is_one_message_without_a_header(body: bytes) -> None:
    assert read_one(body).header is None


BATCHED = b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + SHORT + SHORT + b"BTS|2\rFTS|1\r"


def test_a_batch_file_is_unwrapped() -> None:
    interchange = read_interchange(BATCHED)
    assert len(interchange.messages) == 2
    assert interchange.is_batch
    assert interchange.findings == ()
    assert interchange.messages[0].digest == read_one(SHORT).digest


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        (BATCHED.replace(b"BTS|2", b"BTS|3"), "BTS-1", "batch_count_mismatch"),
        (BATCHED.replace(b"BTS|2", b"BTS|x"), "BTS-1", "batch_count_unreadable"),
        (BATCHED.replace(b"BTS|2", b"BTS|"), "BTS-1", "batch_count_missing"),
        (BATCHED.replace(b"BTS|2\r", b""), "BTS", "batch_incomplete"),
        (BATCHED.replace(b"FTS|1", b"FTS|2"), "FTS-1", "batch_count_mismatch"),
        (BATCHED.replace(b"FTS|1\r", b""), "FTS", "batch_incomplete"),
        (SHORT + SHORT, "BHS", "batch_unwrapped"),
    ],
)
def test_what_is_wrong_with_a_batch_is_a_finding(body: bytes, field: str, code: str) -> None:
    interchange = read_interchange(body)
    assert [(one.field, one.code) for one in interchange.findings] == [(field, code)]
    assert len(interchange.messages) == 2


@needs_samples
@pytest.mark.parametrize("name", sample_names())
def test_real_messages_split_as_python_hl7_splits_them(name: str) -> None:
    message = read_one(read_sample(name))
    if message.header is None:
        assert "InvalidSegments" in name
        return
    oracle = hl7.parse(message.text)
    assert len(oracle) == len(message.segments)
    for theirs, ours in zip(oracle, message.segments, strict=True):
        assert str(theirs[0]) == ours.name
        assert [str(field) for field in theirs] == list(ours.fields)


@needs_samples
def test_real_files_have_the_line_ends_we_think_they_have() -> None:
    assert b"\n" not in read_sample(ENHANCED)
    assert b"\r" not in read_sample(A04)
    assert read_sample(ENHANCED).startswith(b"MSH|^~\\&#|")


@needs_samples
def test_the_real_batch_file_holds_one_message_and_no_batch_finding() -> None:
    interchange = read_interchange(read_sample(BATCH))
    assert len(interchange.messages) == 1
    assert interchange.findings == ()
    assert interchange.batch_header is not None
