// Asks a server all that prometheus-query can, and prints what the program would see.
//
// usage: node ask.mjs URL START END, both times in seconds since 1970

import { PrometheusDriver } from "prometheus-query";

const [endpoint, start, end] = process.argv.slice(2);
const [since, until] = [start, end].map((seconds) => new Date(seconds * 1000));
const client = new PrometheusDriver({ endpoint });

async function refusal(asked) {
  try {
    await asked;
  } catch (error) {
    return { type: error.errorType, message: error.message, status: error.cause?.status };
  }
  throw new Error("it was not refused");
}

const answers = {
  instant: await client.instantQuery("clients_total", until),
  range: await client.rangeQuery("sum by (job) (rate(clients_total[5m]))", since, until, 30),
  wide: await client.rangeQuery("clients_total", since, until, "15s"),
  series: await client.series("clients_total", since, until),
  labelNames: await client.labelNames(["clients_total"], since, until),
  labelValues: await client.labelValues("job", ["clients_total"], since, until),
  metadata: await client.metadata(undefined, "up"),
  rules: await client.rules(),
  alerts: await client.alerts(),
  badQuery: await refusal(client.instantQuery("sum(")),
  badRange: await refusal(client.rangeQuery("up", until, since, 30)),
};
console.log(JSON.stringify(answers, null, 1));
