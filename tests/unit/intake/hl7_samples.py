"""The real HL7 messages that these tests read, and the presets they read them with."""

from __future__ import annotations

import os
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.intake.domain.hl7.reader import Message, read_interchange

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT.parent / "shared" / "data" / "hl7"
PRESETS = ROOT / "services" / "intake" / "presets"
EASTERN = timezone(timedelta(hours=-5))

needs_samples = pytest.mark.skipif(
    not FOLDER.is_dir() and os.environ.get("REQUIRE_ALL") != "1",
    reason="the real HL7 messages (../shared/data/hl7) are not here",
)

A04 = "nist-ss/cb_TestGroup_1_TestCase_1_TestStep_1.hl7"
PRESUMPTIVE = "cdc-elr/AL_PHLIP_251_COVID_CDC_conc-Det.hl7"
BATCH = "cdc-elr/COVID-Test_Full_Batch_Headers_One_Message_v2_5_1.hl7"
ENHANCED = "cdc-elr/EnhancedELR_COVID19_Example.hl7"
GLUCOSE = "cdc-phdi/tabulation__sample_hl7.hl7"


def sample_names(folder: str = "*") -> list[str]:
    """All samples as `folder/name`, sorted by name.

    One name that cannot be read when the folder is absent: an empty list would pass as "nothing to
    test" even where REQUIRE_ALL=1.
    """
    return (
        ["absent"]
        if not FOLDER.is_dir()
        else sorted(str(path.relative_to(FOLDER)) for path in FOLDER.glob(f"{folder}/*.hl7"))
    )


def read_sample(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def read_one(body: bytes) -> Message:
    """The only message of a body."""
    (message,) = read_interchange(body).messages
    return message


def load_preset(name: str) -> dict[str, Any]:
    """The document with the name of its version, as intake's handlers hand it over."""
    content: dict[str, Any] = yaml.safe_load((PRESETS / name).read_text(encoding="utf-8"))
    document: dict[str, Any] = content.pop("document")
    return content | document
