"""Which characters a body is written in: MSH-18 if it can be trusted, else UTF-8, GB18030."""

from __future__ import annotations

import codecs
import re

from services.intake.domain.hl7.findings import Finding

_HEADER = re.compile(rb"MSH[^\r\n]*")
_VERSION_IN_PLACE = re.compile(r"MSH\|(?:[^|\r\n]*\|){10}2\.")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# HL7 table 0211, and names seen in the field. ASCII is read as UTF-8, which contains it.
_CODECS = {
    "ASCII": "utf-8",
    "USASCII": "utf-8",
    "UNICODE": "utf-8",
    "UNICODEUTF8": "utf-8",
    "UTF8": "utf-8",
    "GB180302000": "gb18030",
    "GB180302005": "gb18030",
    "GB180302022": "gb18030",
    "GB18030": "gb18030",
    "GBK": "gb18030",
    "GB2312": "gb18030",
    "BIG5": "big5",
} | {f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)}
CODEC_NAMES = {"utf-8": "UNICODE UTF-8", "gb18030": "GB 18030-2000", "iso8859-1": "8859/1"}


def name_codec(charset: str) -> str | None:
    """The Python codec of an MSH-18 value, None when it is not known."""
    return _CODECS.get(re.sub(r"[\s_-]", "", charset.upper()))


def decode_body(body: bytes) -> tuple[str, str, list[Finding]]:
    """Text, the codec that gave it, and findings. Bytes that fit no codec become U+FFFD."""
    for mark, codec in _MARKS:
        if body.startswith(mark):
            text, used = _decode_marked(body, mark, codec)
            return text, used, [Finding("byte_order_mark", "MSH-1", "a byte order mark before MSH")]
    charset = _read_declared(body)
    declared = name_codec(charset)
    if not charset and _looks_like_gb18030(body):
        note = "MSH-18: no character set is named; the text reads as GB 18030"
        return body.decode("gb18030"), "gb18030", [Finding("charset_assumed", "MSH-18", note)]
    findings: list[Finding] = []
    if charset and declared is None:
        note = "MSH-18: a character set that is not known here"
        findings.append(Finding("charset_unknown", "MSH-18", note))
    order = [codec for codec in (declared, "utf-8", "gb18030") if codec]
    for errors in ("strict", "replace"):
        for codec in dict.fromkeys(order):
            decoded = _decode_soundly(body, codec, errors, is_declared=codec == declared)
            if decoded is None:
                continue
            if errors == "replace":
                note = "MSH-18: bytes that fit no character set were replaced"
                findings.append(Finding("charset_mismatch", "MSH-18", note))
            elif declared and codec != declared:
                note = f"MSH-18: the text is not in the declared character set, read as {codec}"
                findings.append(Finding("charset_mismatch", "MSH-18", note))
            return decoded, codec, findings
        # With stray bytes, the reading that loses fewer letters goes first.
        order.sort(key=lambda codec: body.decode(codec, errors="replace").count("\ufffd"))
    note = "MSH-18: bytes that fit no character set were replaced"
    findings.append(Finding("charset_mismatch", "MSH-18", note))
    return body.decode("utf-8", errors="replace"), "utf-8", findings


def _decode_soundly(body: bytes, codec: str, errors: str, *, is_declared: bool) -> str | None:
    """The text, or None when it does not fit or a stray byte would swallow a delimiter.

    The second byte of a GB18030 letter may be `|`, `^`, `~` or `\\`, so one broken byte can join
    two fields. Real Chinese text has more letters than such bytes and keeps MSH-12 in its place.
    """
    try:
        text = body.decode(codec, errors=errors)
    except UnicodeDecodeError:
        return None
    if codec != "gb18030":
        return text
    swallowed = sum(body.count(sign.encode()) - text.count(sign) for sign in "|^~\\")
    if swallowed <= 0:
        return text
    letters = sum(sign > "\x7f" for sign in text)
    is_chinese = is_declared or letters > 4 * swallowed
    return text if is_chinese and _VERSION_IN_PLACE.search(text) else None


def _looks_like_gb18030(body: bytes) -> bool:
    """Short GB18030 text can be sound UTF-8 by chance: 医院 (hospital) is then read as "ҽԺ".

    Only text whose every letter lies in the scripts of two-byte UTF-8 beyond Latin, and which is
    common Chinese otherwise, is taken for it.
    """
    if body.isascii():
        return False
    try:
        letters = {sign for sign in body.decode("utf-8") if sign > "\x7f"}
        body.decode("gb2312")
    except UnicodeDecodeError:
        return False
    return all("\u0250" <= sign <= "\u07ff" for sign in letters)


def _decode_marked(body: bytes, mark: bytes, codec: str) -> tuple[str, str]:
    # An answer is written in UTF-8 also when the question came as UTF-16.
    rest = body[len(mark) :] if codec == "utf-8" else body
    return rest.decode(codec, errors="replace"), "utf-8"


def _read_declared(body: bytes) -> str:
    """MSH-18 read under each possible codec: a GB18030 byte pair may contain a `|`."""
    header = _HEADER.search(body)
    if header is None:
        return ""
    first = ""
    for codec in ("utf-8", "gb18030"):
        line = header.group().decode(codec, errors="replace")
        fields = line.split(line[3:4] or "|")
        charset = fields[17].split("~")[0].strip() if len(fields) > 17 else ""
        if name_codec(charset):
            return charset
        first = first or charset
    return first
