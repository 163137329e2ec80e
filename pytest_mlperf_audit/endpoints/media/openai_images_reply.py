"""Replies of image APIs: images in base64 in a JSON document, or the image itself. Pure.

Images are decoded and hashed as they arrive and never held, so a decoder's memory is bounded by MAX_TEXT_BYTES. A
document has `data`, a list of objects with `b64_json` or `url`; a `url` may be a data: URL, as muse's are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..base import BadReplyError, Reply, digest
from ..failures import failure
from ..replies import as_word, bad, parse_leniently, short_id
from .base64_text import Base64Text
from .image_file import N_TELLING, Image, ImageFile, begins_image

#: Most bytes of a JSON reply, the base64 of images not counted.
MAX_TEXT_BYTES: Final = 2**20
#: No API gives so many images.
_MOST_IMAGES: Final = 256

# A quote inside a JSON text is escaped, so this can only be a key with a text as its value. Whether that is a data: URL
# is known once it has ended, or so much of it has come.
_OPENS = re.compile(
    rb'"(?P<key>b64_json|url)"\s{0,16}:\s{0,16}"(?=[^"]{64}|[^"]{0,63}")'
    rb"(?P<data>data:[\w.+/\\-]{1,30}(?:;[\w=-]{0,20})?;base64,)?"
)
_OF_URLS: Final = (
    "replies name images by URL and hold none, so that outputs cannot be compared, and times may not be those of "
    "making an image; set model_params.image.response_format: b64_json"
)
_LONGEST: Final = len('"b64_json"') + 33 + 64


class ImagesDecoder:
    """Reads one reply that has `n` images. With `takes_urls` a URL stands for an image, of which nothing is known then.

    `digest` is of the image's bytes, however they were sent; of several, of their digests in order.
    """

    def __init__(self, n: int, *, takes_urls: bool = False, keep_output: bool = False) -> None:
        self._n = n
        self._takes_urls = takes_urls
        self._keep_output = keep_output
        self._text = bytearray()
        self._searched = 0
        self._raw: ImageFile | None = None
        self._base64: Base64Text | None = None
        self._files: list[ImageFile] = []
        self._bad: BadReplyError | None = None

    def feed(self, data: bytes, at_ns: int) -> None:  # noqa: ARG002 - nothing of such a reply is worth a time of its own
        """Take the next piece of the body."""
        if self._bad is None:
            try:
                self._feed(data)
            except BadReplyError as error:
                self._bad = error

    def _feed(self, data: bytes) -> None:
        if self._raw is not None:
            self._raw.feed(data)
            return
        while data:
            if self._base64 is not None:
                data = self._base64.feed(data)
                if self._base64.is_open:
                    return
                self._base64 = None
            data = self._feed_text(data)
            if len(self._text) > MAX_TEXT_BYTES:
                raise bad("too_large", f"the JSON of the reply exceeds {MAX_TEXT_BYTES} bytes")

    def _feed_text(self, data: bytes) -> bytes:
        """Take a piece up to where an image begins; return what stands behind that."""
        was_short = len(self._text) < N_TELLING
        self._text += data
        if was_short and not self._files and begins_image(self._text):
            self._raw = ImageFile()
            self._raw.feed(self._text)
            return b""
        if (at := _image_at(self._text, self._searched)) is None:
            self._searched = max(self._searched, len(self._text) - _LONGEST)
            return b""
        rest = bytes(self._text[at:])
        del self._text[at:]
        self._searched = at
        self._begin()
        return rest

    def _begin(self) -> None:
        if len(self._files) == _MOST_IMAGES:
            raise bad("too_large", f"the reply has more than {_MOST_IMAGES} images")
        self._files.append(ImageFile())
        self._base64 = Base64Text(self._files[-1].feed, "an image")

    def finish(self) -> Reply:
        """Return the reply. Raises BadReplyError."""
        if self._bad is not None:
            raise self._bad
        if self._raw is not None:
            return self._of([self._raw.close()])
        if self._base64 is not None:
            raise bad("truncated", "the reply ends within an image")
        if not self._text.strip():
            raise bad("empty", "the reply has no body")
        document = parse_leniently(self._text, "the reply")
        items = document.get("data")
        if wrong := failure(document, answers=bool(items)):
            raise bad("server_error", wrong)
        if not isinstance(items, list):
            raise bad("malformed", "the reply has no list 'data', and is no image itself")
        return self._of_items(document, items)

    def _of_items(self, document: Mapping[str, Any], items: Sequence[Any]) -> Reply:
        urls: list[str] = []
        for item in items:
            if isinstance(item, Mapping) and (wrong := failure(item, answers=True)):
                raise bad("server_error", wrong)
            url = item.get("url") if isinstance(item, Mapping) else None
            if isinstance(url, str) and url.strip() and not url.startswith("data:"):
                urls.append(url)
        images = [file.close() for file in self._files if file.n_bytes][: len(items)]
        if not images and not urls:
            raise bad("empty", "the reply has no image in it")
        reply = self._of(images) if images else self._of_urls(urls)
        if told := short_id(as_word(document.get("id"))):
            reply.id = told
        reply.model = short_id(as_word(document.get("model")))
        return reply

    def _of_urls(self, urls: Sequence[str]) -> Reply:
        if not self._takes_urls:
            raise bad(
                "malformed",
                "the reply has a URL in place of an image, though response_format url was not asked for; have the "
                "server send images, or set model_params.image.response_format: url",
            )
        self._require(len(urls))
        return Reply(
            digest="",
            id=f"url {digest(' '.join(urls).encode())}",
            output="\n".join(urls) if self._keep_output else None,
            remarks=(_OF_URLS,),
        )

    def _of(self, images: Sequence[Image]) -> Reply:
        self._require(len(images))
        digests = [image.digest for image in images]
        sizes = {image.size for image in images}
        more = f"the reply has {len(images)} images, where {self._n} should be: the server does not heed n"
        return Reply(
            digest=digests[0] if len(digests) == 1 else digest("".join(digests).encode()),
            size=sizes.pop() if len(sizes) == 1 else None,
            remarks=(more,) if len(images) > self._n else (),
        )

    def _require(self, found: int) -> None:
        if found < self._n:
            raise bad("empty", f"the reply has {found} of the {self._n} images that were asked for")


def _image_at(text: bytearray, start: int) -> int | None:
    """Return where the first base64 of an image begins in a document, None where there is none yet."""
    for opened in _OPENS.finditer(text, start):
        if opened["key"] == b"b64_json" or opened["data"]:
            return opened.end()
    return None
