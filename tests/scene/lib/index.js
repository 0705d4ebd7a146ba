'use strict';

const parts = {
  wait: require('./wait'),
  process: require('./process'),
  proc: require('./proc'),
  metrics: require('./metrics'),
  http: require('./http'),
  raw: require('./raw'),
  region: require('./region'),
  resp: require('./resp'),
  redis: require('./redis'),
  cable: require('./cable'),
  fleet: require('./fleet'),
  gateway: require('./gateway'),
  clients: require('./clients'),
  pools: require('./pools'),
  knot: require('./knot'),
  blackhole: require('./blackhole'),
  authority: require('./authority'),
  netns: require('./netns'),
  origin: require('./origin'),
  caching: require('./caching'),
  h2raw: require('./h2raw'),
  http2: require('./http2'),
  h2websocket: require('./h2websocket'),
  events: require('./events'),
  sinks: require('./sinks'),
  tokens: require('./tokens'),
  tools: require('./tools'),
  dns: require('./dns'),
  dns_tools: require('./dns_tools'),
  zone: require('./zone'),
  steered: require('./steered'),
  quorum: require('./quorum'),
  members: require('./members'),
  soak: require('./soak'),
  guests: require('./guests'),
  sessions: require('./sessions'),
  scene: require('./scene'),
};

// One name, one meaning: a part that takes another's name would change what old scenes call.
for (const [part, exported] of Object.entries(parts))
  for (const name of Object.keys(exported)) {
    if (name in module.exports) throw new Error(`lib/${part}.js: ${name} is the name of something else already`);
    module.exports[name] = exported[name];
  }
