// Purges by hand: done when they hold in every worker, and never said to be done when they do not.
'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const { describe } = require('node:test');
const { run, scene } = require('./lib');

const WORKERS = ['worker-0', 'worker-1'];

async function stage(s) {
  const region = await s.region({ name: 'us-a' });
  const gateway = await s.gateway({
    workers: WORKERS.length,
    pools: { p: { servers: [{ name: region.name, url: region.url }] } },
    routes: [{ path: '/', pool: 'p' }],
  });
  const processes = await gateway.processes();
  return { gateway, workers: WORKERS.map((name) => processes[name].pid) };
}

// Resolves with what was printed; fails when the command did.
async function purge(gateway, ...words) {
  const { code, stdout, stderr } = await gateway.ctl('purge', ...words);
  assert.equal(code, 0, stderr);
  return stdout;
}

function stop(s, pids) {
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  s.atEnd(() => {
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGCONT');
      } catch {
        // it has ended
      }
    }
  });
}

describe('tidegatectl purge', { concurrency: 3 }, () => {
  scene('is done when it holds in all workers, and says whom else it reached', async (s) => {
    const { gateway } = await stage(s);
    const end = /purged in 2 workers; no Redis is configured to tell other gateways\n/;
    for (const [words, what] of [
      [['tag', 'table:cars'], 'tag table:cars'],
      [['url', 'https://Example.com/a?b=1'], 'url example.com/a?b=1'],
      [['prefix', '/rest/v1/'], 'prefix /rest/v1/'],
      [['all'], 'all'],
      [['--soft', 'tag', 'x'.repeat(128)], `tag ${'x'.repeat(128)}`],
    ]) {
      const answer = await purge(gateway, ...words);
      assert.ok(answer.startsWith(`${what} `), answer);
      assert.match(answer, end);
    }
    const several = await purge(gateway, 'tag', 'a', 'b', 'c', '--soft');
    assert.deepEqual(several.match(/^tag \S+/gm), ['tag a', 'tag b', 'tag c']);
    await gateway.process.line(/INFO .*purged kind=tag text=c soft=true workers=2/);
    for (const name of WORKERS) await gateway.process.line(new RegExp(`${name} .*purged .*text=c soft=true`));
  });

  scene('tells wrong usage before anything is sent, and what makes no sense after', async (s) => {
    const { gateway } = await stage(s);
    for (const words of [[], ['tag'], ['url'], ['prefix'], ['all', 'x'], ['tags', 'x'], ['tag', 'a', 'b\nc'], ['tag', '']]) {
      const { code, stderr } = await gateway.ctl('purge', ...words);
      assert.equal(code, 64, words.join(' '));
      assert.match(stderr, /^tidegatectl: purge/);
    }
    assert.equal((await gateway.ctl('status', '--soft')).code, 64);
    const long = await gateway.ctl('purge', 'tag', 'good', 'x'.repeat(1500));
    assert.equal(long.code, 1);
    assert.match(long.stderr, /^tidegatectl: purge tag x+: the text is too long\n/);
    assert.match(long.stdout, /^tag good purged in 2 workers/); // one that is refused does not hold up the others
    const absent = await run('tidegatectl', ['-s', path.join(s.temp(), 'control.sock'), 'purge', 'all']);
    assert.equal(absent.code, 69);
    assert.match((await run('tidegatectl', ['help'])).stdout, /purge +.*tag NAME\.\.\., url URL\.\.\., prefix TEXT\.\.\. or all/);
  });

  scene('is not done while a worker hangs: an error in time, which names it', async (s) => {
    const { gateway, workers } = await stage(s);
    stop(s, workers);
    const start = Date.now();
    const { code, stderr } = await gateway.ctl('purge', 'tag', 'x');
    const took = Date.now() - start;
    assert.equal(code, 1);
    assert.match(stderr, /^tidegatectl: purge tag x: the purge does not hold everywhere yet$/m);
    for (const name of WORKERS) assert.match(stderr, new RegExp(`^${name} has not confirmed in time$`, 'm'));
    assert.ok(took < 4500, `took ${took} ms`); // the tool itself would give up after 5 s
    for (const pid of workers) process.kill(pid, 'SIGCONT');
    assert.match(await purge(gateway, 'tag', 'x'), /purged in 2 workers/);
  });

  scene('a worker that dies meanwhile holds nothing any more; another one tells the other gateways', async (s) => {
    const { gateway, workers } = await stage(s);
    stop(s, [workers[0]]);
    const answer = purge(gateway, 'tag', 'x');
    await gateway.process.line(/worker-1 .*purged .*text=x soft=false publisher=false/);
    process.kill(workers[0], 'SIGKILL');
    assert.match(await answer, /^tag x purged in 1 worker; /);
    await gateway.process.line(/worker-1 .*purged .*text=x soft=false publisher=true/);
  });
});
