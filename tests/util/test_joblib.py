"""joblib, and scikit-learn on it, run on the cluster."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import time
from typing import Any

import numpy
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.svm import SVC

from tests.support import module
from tests.support.cluster import CPUS
from tests.support.module import Ray

joblib: Any = importlib.import_module("joblib")  # says nothing about its types


@pytest.fixture(autouse=True)
def registered(ray: Ray) -> None:
    importlib.import_module(f"{module.NAME}.util.joblib").register_ray()


def fail(value: int) -> int:
    if value == 3:
        raise KeyError(value)
    return value


def test_calls_run_in_the_clusters_processes_and_come_back_in_order() -> None:
    with joblib.parallel_config(backend="ray"):
        found = joblib.Parallel()(joblib.delayed(lambda x: (x, os.getpid()))(x) for x in range(20))
    assert [x for x, _ in found] == list(range(20))
    assert os.getpid() not in {pid for _, pid in found}


def test_an_error_of_a_call_is_raised() -> None:
    with joblib.parallel_config(backend="ray"), pytest.raises(KeyError):
        joblib.Parallel()(joblib.delayed(fail)(x) for x in range(20))


def test_results_can_be_taken_as_they_come() -> None:
    with joblib.parallel_config(backend="ray"):
        for how in ("generator", "generator_unordered"):
            results = joblib.Parallel(return_as=how)(joblib.delayed(abs)(-x) for x in range(20))
            assert sorted(results) == list(range(20))


@pytest.mark.usefixtures("raynb_only")
def test_a_timeout_is_kept() -> None:
    with joblib.parallel_config(backend="ray"), pytest.raises(multiprocessing.TimeoutError):
        joblib.Parallel(timeout=0.2)(joblib.delayed(time.sleep)(60) for _ in range(2))


def test_jobs_are_counted_by_the_clusters_cpus() -> None:
    with joblib.parallel_config(backend="ray"):
        assert joblib.effective_n_jobs(-1) == CPUS
        assert joblib.effective_n_jobs(3) == 3


def test_the_tasks_have_the_options_that_were_given(ray: Ray) -> None:
    with joblib.parallel_config(backend="ray", ray_remote_args={"num_cpus": 2}):
        found = joblib.Parallel()(
            joblib.delayed(lambda: ray.get_runtime_context().get_assigned_resources())() for _ in range(2)
        )
    assert [resources["CPU"] for resources in found] == [2, 2]


def test_a_model_of_scikit_learn_trains_on_it() -> None:
    X, y = load_iris(return_X_y=True)
    forest = RandomForestClassifier(n_estimators=20, random_state=0)
    alone = forest.fit(X, y).predict_proba(X)
    with joblib.parallel_config(backend="ray"):
        assert numpy.array_equal(forest.fit(X, y).predict_proba(X), alone)


def test_a_search_of_scikit_learn_finds_the_same_on_it() -> None:
    X, y = load_iris(return_X_y=True)
    grid: dict[str, Any] = {"C": [0.1, 1, 10], "gamma": [0.01, 0.1]}
    alone = GridSearchCV(SVC(), grid).fit(X, y)
    with joblib.parallel_config(backend="ray"):
        spread = GridSearchCV(SVC(), grid).fit(X, y)
        scores = cross_val_score(SVC(), X, y)
    assert spread.best_params_ == alone.best_params_
    assert spread.best_score_ == alone.best_score_
    assert len(scores) == 5
