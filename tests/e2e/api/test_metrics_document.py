"""What `/metrics` tells is what `docs/telemetry.md` lists: names, types and labels."""

from __future__ import annotations

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from cinema.domain.membership import Member
from cinema.settings import Secret
from tests.e2e.api.house import House, open_house
from tests.support.telemetry import OF_BACKUPS, listed_metrics


async def scrape(house: House) -> dict[str, Metric]:
    async with house.client.get(f"http://127.0.0.1:{house.port}/metrics") as answer:
        text = await answer.text()
    families: dict[str, Metric] = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith("cinema_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            assert name not in families, f"two metrics have the name {name}"
            families[name] = family
    return families


async def join(house: House) -> None:
    cluster = house.node.cluster
    assert cluster is not None
    await cluster.join(
        Member(
            node_id=cluster.placement.node_id,
            host="127.0.0.1",
            port=house.port,
            cluster_port=cluster.cluster_port,
            weight=100,
            software="",
        )
    )


async def test_every_metric_has_the_type_and_labels_that_are_listed(
    database: str, redis_url: str
) -> None:
    # Everything a node can have, the replica being none: its reads are counted all the same.
    settings = {"redis_url": Secret(redis_url), "database_read_url": Secret(database)}
    async with open_house(database, cluster_port=0, **settings) as house:
        await join(house)
        showtime_id = await house.showtime()
        await house.held("ada", showtime_id, "A1")
        assert (await house.hold("bob", showtime_id, "A1")).status == 409
        families = await scrape(house)
    listed = listed_metrics()
    assert families.keys() == listed.keys() - OF_BACKUPS
    for name, family in families.items():
        assert family.type == listed[name].kind
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == listed[name].labels, sample
    # This node logs nowhere; nothing failed, nothing was too much, no job has ended yet, and Stripe
    # told nothing.
    assert {name for name, family in families.items() if not family.samples} <= {
        "cinema_http_deprecated_requests_total",
        "cinema_jobs_total",
        "cinema_messages_refused_total",
        "cinema_mails_total",
        "cinema_log_events_total",
        "cinema_stripe_tasks_total",
        "cinema_stripe_webhooks_total",
        "cinema_task_failures_total",
        "cinema_throttled_requests_total",
    }
