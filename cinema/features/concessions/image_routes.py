"""Routes of pictures of products."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.concessions import examples
from cinema.features.concessions.image_service import ProductImagesService
from cinema.features.concessions.shapes import Product
from cinema.http.conditional import version_tag
from cinema.http.connections.upload import Upload
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, header_lines, success
from cinema.http.routes import Operation

TAG: Final = "Concessions"
WRITERS: Final = frozenset({MANAGER, ADMIN})


class ImageParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    images: ProductImagesService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/concessions/{product_id}/image",
    operation_id="setProductImage",
    summary="Give a product a picture",
    description="A form with the field `file`, as for posters of films: `image_url` names a WebP "
    "picture 780 pixels wide, others have the same name with 342 or 1560. `PUT` of the product "
    "leaves it.",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    request=Upload,
    response=Product,
    response_example=examples.PRODUCT_CHANGED,
    etag=True,
    errors=("FORBIDDEN", "UNUSABLE_IMAGE", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def set_image(parts: ImageParts, context: RequestContext) -> Reply:
    """Give a product a picture."""
    (product_id,) = context.ids
    content, client = context.body.content, parts.door.client(context)
    product = await parts.images.set_image(
        context.principal, product_id, content, client, context.request_key
    )
    return success(product, extra=header_lines(etag=version_tag(product.version)))


@Operation(
    method="DELETE",
    path="/api/v1/concessions/{product_id}/image",
    operation_id="removeProductImage",
    summary="Show a product without a picture",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    response=Product,
    response_example=examples.WITHOUT_IMAGE,
    etag=True,
    errors=("FORBIDDEN", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def remove_image(parts: ImageParts, context: RequestContext) -> Reply:
    """Show a product without a picture."""
    (product_id,) = context.ids
    client = parts.door.client(context)
    product = await parts.images.remove_image(
        context.principal, product_id, client, context.request_key
    )
    return success(product, extra=header_lines(etag=version_tag(product.version)))


ROUTES: Final = (set_image, remove_image)
