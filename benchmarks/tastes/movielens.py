"""MovieLens-100K, which comes with the wheel of `recbole`: fetched by pip, checked, cached.

The data (GroupLens, for research) is never part of the repository.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from cinema.features.recommendations.model.facts import ActKind, CustomerAct, Film

WHEEL = "recbole==1.2.1"
WHEEL_NAME = "recbole-1.2.1-py3-none-any.whl"
WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
FOLDER = "recbole/dataset_example/ml-100k"

LIKED_FROM = 4.0


class NotToBeHad(Exception):
    """The data could not be fetched, or is not what it was."""


def cached_wheel() -> Path:
    """The wheel, fetched once. Raises `NotToBeHad`."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    wheel = home / "cinema-benchmarks" / WHEEL_NAME
    if not wheel.exists():
        wheel.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=wheel.parent) as folder:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            command += ["--only-binary", ":all:", "--dest", folder, WHEEL]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode:
                raise NotToBeHad(done.stderr.strip() or "pip could not download it")
            (Path(folder) / WHEEL_NAME).replace(wheel)
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
        raise NotToBeHad(f"{wheel} is not the wheel that the figures are about: delete it")
    return wheel


def films_of(wheel: Path) -> dict[UUID, Film]:
    """All films, with their genres."""
    return {
        UUID(int=int(number)): Film(
            id=UUID(int=int(number)), title=title, genres=tuple(genres.split())
        )
        for number, title, _, genres in _lines(wheel, "ml-100k.item")
    }


def ratings_of(wheel: Path) -> list[list[CustomerAct]]:
    """What each rating says, in the order of time: seen, and liked if it is four or five."""
    ratings = []
    for customer, number, rating, at in _lines(wheel, "ml-100k.inter"):
        kinds = [ActKind.BOOKED, ActKind.ATTENDED]
        if float(rating) >= LIKED_FROM:
            kinds.append(ActKind.LIKED)
        user, movie = UUID(int=int(customer)), UUID(int=int(number))
        ratings.append([CustomerAct(user, movie, kind, float(at)) for kind in kinds])
    return sorted(ratings, key=lambda one: (one[0].at_s, one[0].customer_id, one[0].movie_id))


def _lines(wheel: Path, name: str) -> Iterator[list[str]]:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"{FOLDER}/{name}").decode()
    for line in text.splitlines()[1:]:
        yield line.split("\t")
