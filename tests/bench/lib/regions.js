'use strict';
// Two regions of one Phoenix cluster, and a gateway with a worker before them whose sessions are all on the first.
const fs = require('node:fs');
const path = require('node:path');
const processes = require('./process.js');
const { program, write } = require('./files.js');

const CHECK = { type: 'http', path: '/health', interval: '250ms', timeout: '200ms' };

// What is started is added to `others`, for whoever stops it; { regions: [{ child, port }], gateway: { child, port } }.
async function startRegions(stage, others) {
  const dir = fs.mkdtempSync(path.join(stage.dir, 'sessions-'));
  fs.chmodSync(dir, 0o755);
  const start = async (command, args, port) => {
    const child = processes.start(command, args.map(String));
    others.push(child);
    await processes.untilListening(child, port);
    return { child, port };
  };
  const free = () => processes.freePort();
  const redis = await free();
  await start('redis-server', ['--port', redis, '--bind', '127.0.0.1', '--save', '', '--dir', dir], redis);
  const regions = [];
  for (const name of ['first', 'second']) {
    const port = await free();
    regions.push(await start(program('region'), ['--listen', `127.0.0.1:${port}`, '--name', name, '--redis', `redis://127.0.0.1:${redis}/0`], port));
  }
  const port = await free();
  const config = {
    node: { name: 'bench' }, workers: 1, state_dir: '', control: { path: '' }, log: { level: 'info', access: false },
    listen: [{ address: `127.0.0.1:${port}`, backlog: 4096 }],
    limits: { per_client: 0 },
    pools: { p: { check: CHECK, servers: regions.map((region, i) => ({ name: `r${i}`, url: `http://127.0.0.1:${region.port}`, tier: i === 0 ? 'primary' : 'backup' })) } },
    routes: [
      { path: '/rest', pool: 'p', cache: { policy: 'stale-while-revalidate', fresh: '1s', stale: '1h' } },
      { path: '/', pool: 'p', websocket: { protocol: 'phoenix' } },
    ],
  };
  const gateway = await start(program('tidegate'), ['-c', write(dir, 'tidegate.yaml', JSON.stringify(config))], port);
  return { regions, gateway };
}

module.exports = { startRegions };
