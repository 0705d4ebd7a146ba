// Pools and what the gateway says about them.
'use strict';

const { waitFor } = require('./wait');
const { Client } = require('./clients');

// The `servers` of a pool, from regions (or anything with name and url); `more` (by place) adds keys to each.
function servers(regions, ...more) {
  return regions.map((region, i) => ({ name: region.name, url: region.url, ...more[i] }));
}

// A configuration of one pool behind one route.
function onePool(pool, rest = {}) {
  return { pools: { p: pool }, routes: [{ name: 'all', path: '/', pool: 'p' }], ...rest };
}

// What /status says about the servers of all pools, by name.
async function standings(gateway) {
  const { pools } = await gateway.status();
  return Object.fromEntries(pools.flatMap((pool) => pool.servers).map((server) => [server.name, server]));
}

// Waits until each server named in `wanted` has that state ('up', 'down' or 'unknown'), or is down for a cause that matches when a regular
// expression is wanted, and returns the standings.
function verdicts(gateway, wanted, ms = 8000) {
  const isAs = ({ state, cause }, each) => (each instanceof RegExp ? state === 'down' && each.test(cause) : state === each);
  return waitFor(`verdicts ${Object.keys(wanted)}`, async () => {
    const now = await standings(gateway);
    const others = Object.entries(wanted).filter(([name, each]) => !isAs(now[name], each));
    if (others.length > 0) throw new Error(others.map(([name, each]) => `${name} is ${now[name].state} (${now[name].cause}), wanted ${each}`).join('; '));
    return now;
  }, ms);
}

// The value of one sample on /metrics, chosen by family (without prefix) and labels; undefined when there is none.
async function metric(gateway, family, labels = {}) {
  const text = await gateway.admin('/metrics');
  for (const line of text.split('\n')) {
    const match = line.match(/^tidegate_(\w+)(?:\{(.*)\})? (\S+)$/);
    if (match?.[1] !== family) continue;
    if (Object.entries(labels).every(([name, value]) => match[2]?.includes(`${name}="${value}"`))) return Number(match[3]);
  }
  return undefined;
}

// Opens a WebSocket to an echo through the gateway; the name of the region that answers is in `.region`, undefined when refused.
async function visit(s, gateway, { path = '/echo', mayFail = true, ...options } = {}) {
  const c = await Client.open(s, `${gateway.url}${path}`, { mayFail, ms: 10000, ...options });
  c.region = c.headers?.['x-region'];
  return c;
}

// Where a new session goes: the region's name, or the status of the refusal.
async function where(s, gateway, options) {
  const c = await visit(s, gateway, options);
  if (c.refused || c.error) return c.refused?.status ?? c.error.message;
  await c.close();
  return c.region;
}

module.exports = { metric, onePool, servers, standings, verdicts, visit, where };
