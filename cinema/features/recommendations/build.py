"""How this feature is built."""

from __future__ import annotations

import random
from typing import Final

from cinema.features.feature import Feature
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.recommendations import routes as recommendation_routes
from cinema.features.recommendations.birth_store import SEALED
from cinema.features.recommendations.jobs import Models, building, refitting
from cinema.features.recommendations.personal_store import RecommendationFacts
from cinema.features.recommendations.rules import Experiment
from cinema.features.recommendations.service import CurrentModel, Programme, RecommendationsService
from cinema.features.recommendations.store import ModelRepository, RecommendationsRepository
from cinema.features.recommendations.trial_store import TrialsRepository
from cinema.features.recommendations.visit_jobs import VisitsWritten
from cinema.features.recommendations.visit_store import VisitsRepository
from cinema.features.recommendations.visits import Visits
from cinema.http.routes import bound
from cinema.settings import experiment_of


async def build(node: NodeParts, _offered: Offered) -> Feature:
    now, current = node.common_time, CurrentModel()
    store = RecommendationsRepository(node.pool, node.cipher, node.reads, new_id=node.next_uuid)
    programme = Programme(store, now=now)
    visits = Visits()
    service = RecommendationsService(
        store,
        programme,
        current,
        visits,
        new_id=node.next_uuid,
        now=now,
        random=random.Random(),
        experiment=_experiment(node.settings.recommendation_experiment),
    )
    models = Models(
        ModelRepository(node.pool, node.sessions),
        programme,
        current,
        building(),
        TrialsRepository(node.sessions),
        refitting(),
        now=now,
    )
    return Feature(
        routes=bound(recommendation_routes.ROUTES, service),
        personal=(RecommendationFacts(node.pool, node.cipher).disclose,),
        tasks={
            "recommendation-model": models.run,
            "showtime-visits": VisitsWritten(visits, VisitsRepository(node.pool)).run,
        },
        sweeps={
            "recommendation-exposures": store.forget_exposures,
            "recommendation-events": store.forget_events,
        },
    )


def _experiment(text: str) -> Experiment | None:
    """What is compared among recommendations, if anything."""
    if not text:
        return None
    name, arms = experiment_of(text)
    return Experiment(name=name, arms=arms)


TAGS: Final = {
    "Recommendations": "Films that somebody may like, and what pages tell of their visitors.",
}

RECOMMENDATIONS: Final = Listed(build, tags=TAGS, sealed=(SEALED,))
