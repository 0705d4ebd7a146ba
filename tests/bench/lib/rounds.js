'use strict';
// Rounds are interleaved: every program once, then every program again.
const processes = require('./process.js');

// Runs `measure(peer)` for every peer in every round; name -> list of findings.
async function rounds(started, count, what, measure) {
  const found = new Map(started.map(({ name }) => [name, []]));
  for (let round = 0; round < count; round++) {
    for (let i = 0; i < started.length; i++) {
      const peer = started[(i + round) % started.length];
      const before = processes.cpuReading(peer.child.pid);
      const result = await measure(peer);
      // what the proxy itself spent on one message (or what else is counted); unlike the rate it hardly depends on who else
      // uses the machine
      result.cpu_us = processes.cpuBetween(before, processes.cpuReading(peer.child.pid)) / result.echoes / (result.units_per_echo ?? 1);
      if (result.failed > 0 || result.dropped > 0)
        console.error(`${what}: ${peer.name}: failed=${result.failed} dropped=${result.dropped} ${result.first_error}`);
      found.get(peer.name).push(result);
    }
    console.error(`${what}: round ${round + 1} of ${count}`);
  }
  return found;
}

module.exports = { rounds };
