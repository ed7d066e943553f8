"""Every tenant once, as it is: its own rhythm, its own tokens, one ordinary voice, nothing else done to it.

The busiest tenants make millions of requests a day, which no bench plays in minutes: a tenant above `MOST_PER_DAY` requests an
active day keeps its rhythm, its bursts and its tokens, and bursts are drawn less often; its account says so (`stretched`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.times import DAY_MS
from pipeline.lab.evaluate.arrivals import Pace, rhythmic
from pipeline.lab.evaluate.marginals import SLOTS, TextKind
from pipeline.lab.evaluate.population import Builder, Plan, signed_up
from pipeline.lab.evaluate.world import Part
from pipeline.lab.simulate.dice import Dice, generator
from pipeline.lab.simulate.identity import draw_identity

if TYPE_CHECKING:
    from pipeline.lab.evaluate.marginals import Marginals, Tenant
    from pipeline.lab.evaluate.split import Split
    from pipeline.lab.evaluate.table import Shard

MOST_PER_DAY = 3_000.0
PER_SHARD = 60


def tenants_of(marginals: Marginals, split: Split) -> list[Tenant]:
    """Tenants of a half, in a fixed order."""
    return [t for t in marginals.tenants if t.split == split]


def tenant_shard(workload: str, marginals: Marginals, split: Split, number: int) -> Shard:
    """The `number`-th shard of at most `PER_SHARD` tenants, each one account."""
    builder = Builder(workload, marginals, split, number, Plan(ordinary=0, weather=(), controls=False))
    for index, tenant in enumerate(tenants_of(marginals, split)[number * PER_SHARD : (number + 1) * PER_SHARD]):
        _account(builder, tenant, Dice(generator(20_260, 99, number, index)))
    return builder.finish()


def _account(builder: Builder, tenant: Tenant, dice: Dice) -> None:
    own = tenant.requests / max(tenant.days, 1)
    per_day = min(own, MOST_PER_DAY)
    span = (builder.start_ms, builder.end_ms)
    desk = builder.desk(dice, draw_identity(dice, signed_up(dice, builder.start_ms)), per_day, span, per_day * tenant.days)
    desk.tenant = tenant
    voice = desk.writer.plain(desk.groups(TextKind.PEOPLE, dice.integer(2, 5), desk.spoken()))
    recipe = desk.chat(voice, tenant)
    pace = Pace(gap_s=3.0, sigma=1.0, burst=1.0)
    arrivals = rhythmic(dice.rng, tenant, per_day, span, 0, pace, np.ones(SLOTS))
    line = desk.line(addresses=dice.integer(1, 4), peak_per_minute=1e6 / DAY_MS * 60_000)
    builder.take(desk, [Part(arrivals, recipe, line)], "unmodified" if own <= MOST_PER_DAY else "stretched", "ordinary", None)
