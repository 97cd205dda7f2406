"""What was refused, and why?"""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import APIRouter, Query

from api.context import TheConnection, moment
from api.models import DeadLetterInfo, DeadLetters
from processing.fix import Reason
from storage.queries.dead_letters import dead_letters as stored_letters
from storage.queries.dead_letters import reasons

router = APIRouter(tags=["dead letters"])

#: A message may be a mebibyte long, and base64 makes it longer still.
PAYLOAD_BYTES_MAX = 8 << 20


@router.get("/dead-letters", summary="Refused messages and reports")
def dead_letters(
    connection: TheConnection,
    letters_max: Annotated[int, Query(ge=0, le=200, description="how many at most")] = 20,
    reason: Annotated[Reason | None, Query(description="only of this reason")] = None,
    unit_id: Annotated[str | None, Query(description="only of this unit")] = None,
) -> DeadLetters:
    """The newest refusals with reason and original bytes, and how many there are of each reason in all.

    An answer holds 8 MiB of original bytes at most, but one letter always; what has no room is left for the
    next question (`complete` is false).
    """
    wanted = None if reason is None else reason.value
    letters, complete = stored_letters(connection, letters_max, wanted, unit_id, PAYLOAD_BYTES_MAX)
    return DeadLetters(
        reasons=reasons(connection),
        complete=complete,
        letters=[
            DeadLetterInfo(
                reason=one.reason,
                detail=one.detail,
                unit_id=one.unit_id,
                mqtt_topic=one.mqtt_topic,
                received_at=moment(one.received_us),
                payload_base64=base64.b64encode(one.payload).decode(),
                log_id=one.log_id,
                partition=one.partition,
                offset=one.log_offset,
                element=one.element,
            )
            for one in letters
        ],
    )
