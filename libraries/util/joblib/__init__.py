"""``raynb.util.joblib``: joblib, and scikit-learn with it, on a cluster."""

from __future__ import annotations


def register_ray() -> None:
    """Give joblib the backend ``"ray"``.

    Examples
    --------
    >>> register_ray()  # doctest: +SKIP
    >>> with joblib.parallel_config(backend="ray"):  # doctest: +SKIP
    ...     search.fit(X, y)

    Raises
    ------
    ImportError
        joblib is not installed: it comes with scikit-learn.
    """
    try:
        from joblib.parallel import register_parallel_backend
    except ImportError as error:
        raise ImportError("register_ray() needs joblib: pip install joblib (it comes with scikit-learn)") from error
    # Imported here: it stands on joblib.
    from raynb.util.joblib.ray_backend import RayBackend

    register_parallel_backend("ray", RayBackend)


__all__ = ["register_ray"]
