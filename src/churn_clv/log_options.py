"""The options that say how a log is read, for every command that reads one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

Log = Annotated[Path, typer.Argument(help="A CSV or Parquet log, or a folder of such files.")]
LastDay = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day that counts, YYYY-MM-DD.")]
CustomerId = Annotated[str | None, typer.Option(help="The log's column with the customer.")]
DateColumn = Annotated[str | None, typer.Option("--date", help="The log's column with the date or timestamp.")]
Amount = Annotated[str | None, typer.Option(help="The log's column with the amount; '' for a log without amounts.")]
DateFormat = Annotated[str | None, typer.Option(help="strptime pattern of the dates, such as %d/%m/%Y.")]
Decimal = Annotated[Literal[".", ","] | None, typer.Option(help="Decimal mark of the amounts.")]
Delimiter = Annotated[str | None, typer.Option(help="What stands between the columns of a CSV file.")]
Encoding = Annotated[str | None, typer.Option(help="Encoding of a CSV file, such as cp1252.")]
Timezone = Annotated[str | None, typer.Option(help="Whose days count, for timestamps with an offset.")]
