# ruff: noqa: ANN001, ANN201 - as an analyst would write it
"""What three hospitals want to know about their patients together, and nothing else."""

import quorate

DIAGNOSES = ("cardiac", "oncology", "trauma", "respiratory", "digestive", "neurological", "maternity", "other")


@quorate.computation
def treatment_costs(st_mary, st_luke, st_anna):  # type: ignore[no-untyped-def]
    """Number of patients, mean and spread of the cost, and its mean per diagnosis."""
    hospitals = (st_mary, st_luke, st_anna)
    cost = quorate.concatenate([hospital.cost for hospital in hospitals])
    diagnosis = quorate.concatenate([hospital.diagnosis for hospital in hospitals])
    results = {"patients": cost.size, "mean_cost": cost.mean(), "std_cost": cost.std()}
    for code, name in enumerate(DIAGNOSES):
        results[f"mean_cost_{name}"] = cost.mean(where=diagnosis == code)
    return results
