"""``/v1/items/{id}/media``: a clip is uploaded, understood, and recommendable in seconds; ``/v1/uploads`` tells of all."""

from collections import Counter
from pathlib import Path as File
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.datastructures import UploadFile

from kinema.serving.console_wire import UploadOut, UploadsOut
from kinema.serving.json_route import media_type
from kinema.serving.media import MediaDesk, Status
from kinema.serving.problems import Problem
from kinema.serving.receiving import FORM, received_form, save_body, save_part
from kinema.serving.routes.parts import ItemId, Parts, ServiceParts
from kinema.serving.wire import MediaJob
from kinema.store.service_protocols import Document

router = APIRouter(prefix="/v1", tags=["media"])


@router.post(
    "/items/{item_id}/media",
    status_code=202,
    summary="Upload a clip",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {"file": {"type": "string", "format": "binary"}},
                    }
                },
            },
        }
    },
)
async def post_media(
    parts: Parts,
    request: Request,
    item_id: ItemId,
    title: Annotated[str, Query(max_length=1000, description="of an item that is not there yet")] = "",
) -> MediaJob:
    """Upload an item's clip, as the body itself or as the part ``file`` of a form; an unknown item is made.

    The answer comes when the file is safe; ask for its job to see it decoded, encoded and recommendable.
    """
    desk = _desk(parts)
    draft = desk.draft()
    try:
        name = await _receive(request, draft, most=parts.max_upload_bytes)
        job = await parts.run(desk.take, item_id, draft, title=title or File(name).stem[:200])
    finally:
        draft.unlink(missing_ok=True)
    return job_out(job)


@router.get("/media/{job_id}", summary="How far a clip has come")
async def get_job(parts: Parts, job_id: Annotated[str, Path(max_length=64)]) -> MediaJob:
    """A job: queued, decoding, encoding, recommendable or failed."""
    return job_out(await parts.run(_desk(parts).job, job_id))


@router.get("/uploads", summary="The clips that were uploaded last")
async def get_uploads(
    parts: Parts,
    status: Annotated[list[Status] | None, Query(max_length=5, description="one of these")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="how many")] = 50,
) -> UploadsOut:
    """Jobs, newest first, and how many of each status there are."""
    return await parts.run(_uploads, parts, status, limit)


def job_out(job: Document) -> MediaJob:
    """A job as the API shows it."""
    return MediaJob(
        job_id=job.key,
        item_id=job.value["item_id"],
        status=job.value["status"],
        message=job.value["message"] or None,
        created_ms=job.value["created_ms"],
        updated_ms=job.updated_ms,
    )


def _uploads(parts: ServiceParts, status: list[Status] | None, limit: int) -> UploadsOut:
    jobs = _desk(parts).jobs()
    shown = [one for one in jobs if status is None or one.value["status"] in status][:limit]
    items = [parts.engine.store.item(one.value["item_id"]) for one in shown]
    uploads = [
        UploadOut(**job_out(job).model_dump(), title="" if item is None else item.title)
        for job, item in zip(shown, items, strict=True)
    ]
    return UploadsOut(statuses=Counter(one.value["status"] for one in jobs), uploads=uploads)


def _desk(parts: ServiceParts) -> MediaDesk:
    if parts.media is None:
        raise Problem(503, "this service takes no clips: it was started without a media folder")
    return parts.media


async def _receive(request: Request, draft: File, *, most: int) -> str:
    """Write an upload to a file, piece by piece; the name it was sent with."""
    if media_type(request) == FORM:
        async with received_form(request, max_files=1, max_fields=10) as form:
            given = form.get("file")
            if not isinstance(given, UploadFile):
                raise Problem(422, "a form must have the clip as its part 'file'", field="file")
            await save_part(given, draft, most=most, what="clip")
            return given.filename or ""
    await save_body(request, draft, most=most, what="clip")
    return ""
