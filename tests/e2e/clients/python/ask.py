"""Asks a server all that prometheus-api-client can, and prints what the program would see.

usage: ask.py URL START END, both times in seconds since 1970
"""

import json
import sys
from datetime import datetime, timedelta

from prometheus_api_client import PrometheusApiClientException, PrometheusConnect

url, start, end = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
client = PrometheusConnect(url=url)
since, until = datetime.fromtimestamp(start), datetime.fromtimestamp(end)
at_end = {"time": end}


def refusal(ask):
    try:
        ask()
    except PrometheusApiClientException as error:
        return str(error)
    raise AssertionError("it was not refused")


answers = {
    "connected": client.check_prometheus_connection(),
    "metrics": client.all_metrics({"match[]": "clients_total"}),
    "series": client.get_series(since, until, {"match[]": "clients_total"}),
    "label names": client.get_label_names({"start": start, "end": end}),
    "label values": client.get_label_values("job"),
    "now": client.get_current_metric_value("clients_total", {"job": "a"}, at_end),
    "in chunks": client.get_metric_range_data(
        "clients_total", {"job": "a"}, since, until, timedelta(minutes=10)
    ),
    "query": client.custom_query("sum by (job) (rate(clients_total[5m]))", at_end),
    "range": client.custom_query_range(
        "sum by (job) (rate(clients_total[5m]))", since, until, "30s"
    ),
    "metadata": client.get_metric_metadata("up"),
    "pools": client.get_scrape_pools(),
    "a bad query": refusal(lambda: client.custom_query("sum(")),
    "a bad range": refusal(
        lambda: client.custom_query_range("up", until, since, "30s")
    ),
}
print(json.dumps(answers, indent=1, sort_keys=True))
