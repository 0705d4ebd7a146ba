// What was answered stands: over restarts and reloads, without a checker, without the process that answers; and the serial of the zone
// tells secondaries of every change, never going back.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { describe } = require('node:test');
const { Nameserver, Steered, later, scene, waitFor } = require('./lib');

const folder = (s) => fs.mkdtempSync(`${s.temp()}/state-`);
const NEVER = { interval: '1h', timeout: '1s', interval_undecided: '1h', fall: 5, rise: 5 }; // one probe settles nothing

// Waits until the gateway runs another process in place of `pid`; resolves with it.
function another(t, role, pid) {
  return waitFor(`another ${role}`, async () => {
    const now = (await t.gateway.processes())[role];
    return now?.state === 'ready' && now.pid !== pid && now;
  }, 10000);
}

// True when `b` comes after `a` (RFC 1982).
const isNewer = (b, a) => ((b - a) >>> 0) > 0 && ((b - a) >>> 0) < 2 ** 31;

describe('over a restart', { concurrency: 2 }, () => {
  scene('the last decision is answered at once, before anything is checked', async (s) => {
    const state = folder(s);
    const first = await Steered.start(s, { state });
    await first.judged({ a: 'up', b: 'up' });
    await first.regions.a.kill();
    await first.until('b');
    await first.gateway.stop();

    const again = await Steered.start(s, { state, regions: first.regions, check: NEVER });
    for (let i = 0; i < 20; i++) {
      assert.equal(await again.now(), 'b');
      await later(20);
    }
  });

  scene('also when everything was killed at once', async (s) => {
    const state = folder(s);
    const first = await Steered.start(s, { state });
    await first.judged({ a: 'up', b: 'up' });
    await first.regions.a.kill();
    await first.until('b');
    const pids = Object.values(await first.gateway.processes()).map(({ pid }) => pid);
    for (const pid of [first.gateway.pid, ...pids]) process.kill(pid, 'SIGKILL');
    await first.gateway.process.exited;

    const again = await Steered.start(s, { state, regions: first.regions, check: NEVER });
    assert.equal(await again.now(), 'b');
  });

  scene('what is left of the state is read with care: nonsense in it is no decision', async (s) => {
    const state = folder(s);
    const first = await Steered.start(s, { state });
    await first.judged({ a: 'up', b: 'up' });
    await first.regions.a.kill();
    await first.until('b');
    await first.gateway.stop();
    const files = fs.readdirSync(state).filter((file) => !file.startsWith('events'));
    assert.ok(files.length > 0);
    for (const file of files) fs.writeFileSync(`${state}/${file}`, 'no\0nsense\n'.repeat(200));
    const again = await Steered.start(s, { state, regions: first.regions });
    await again.until('b'); // checked anew
  });
});

describe('the serial', { concurrency: 2 }, () => {
  scene('moves with every change of an answer, and stays while nothing changes', async (s) => {
    const t = await Steered.start(s, { state: folder(s) });
    await t.judged({ a: 'up', b: 'up' });
    await t.until('a');
    const seen = [await t.names.serial()];
    for (const [wanted, change] of [
      ['b', () => t.ctl('force', 'targets/a', 'down')],
      ['a', () => t.ctl('force', 'targets/a', 'auto')],
      ['b', () => t.ctl('drain', 'targets/a')],
    ]) {
      await change();
      await t.until(wanted);
      seen.push(await t.names.serial());
      assert.ok(isNewer(seen.at(-1), seen.at(-2)), `${seen}`);
      await later(400); // some checks later
      assert.equal(await t.names.serial(), seen.at(-1));
    }
  });

  scene('is never behind that of the answer: whoever sees the new one sees what it stands for', async (s) => {
    const t = await Steered.start(s, {});
    await t.judged({ a: 'up', b: 'up' });
    await t.until('a');
    const before = await t.names.serial();
    const tcp = await t.names.tcp();
    let isOver = false;
    const looking = (async () => {
      while (!isOver) {
        const soa = (await tcp.ask(t.names.query('@', 'SOA'))).answer[0].data.split(' ');
        const { answer } = await tcp.ask(t.names.query('www'));
        if (Number(soa[2]) !== before) assert.equal(answer[0].data, t.address('b'));
      }
    })();
    await t.ctl('force', 'targets/a', 'down');
    await t.until('b');
    isOver = true;
    await looking;
    assert.ok(isNewer(await t.names.serial(), before));
  });

  scene('does not go back over a restart, nor when the zone is another one by then', async (s) => {
    const state = folder(s);
    const first = await Steered.start(s, { state });
    await first.judged({ a: 'up', b: 'up' });
    for (const how of ['down', 'auto', 'down']) await first.ctl('force', 'targets/a', how);
    await first.until('b');
    const last = await first.names.serial();
    await first.gateway.stop();

    const same = await Steered.start(s, { state, regions: first.regions });
    assert.equal(await same.now(), 'b');
    const then = await same.names.serial();
    assert.ok(then === last || isNewer(then, last), `${last}, then ${then}`);
    await same.gateway.stop();

    const other = await Steered.start(s, { state, regions: first.regions, dns: { ttl: '7s' } });
    await waitFor('a later serial', async () => isNewer(await other.names.serial(), then));
  });

  scene('moves with a reload that changes a record, with one that changes nothing it stays', async (s) => {
    const t = await Steered.start(s, { state: folder(s) });
    await t.judged({ a: 'up', b: 'up' });
    await t.until('a');
    const before = await t.names.serial();
    await t.names.reload({});
    assert.equal(await t.names.serial(), before);
    await t.names.reload({ dns: { records: t.records([{ name: 'new', txt: ['one'] }]) } });
    await t.names.until('new', '"one"', { type: 'TXT' });
    const added = await waitFor('a later serial', async () => { const now = await t.names.serial(); return isNewer(now, before) && now; });
    await t.names.reload({ dns: { records: t.records([{ name: 'new', txt: ['two'] }]) } });
    await t.names.until('new', '"two"', { type: 'TXT' });
    const changed = await waitFor('a later serial', async () => { const now = await t.names.serial(); return isNewer(now, added) && now; });
    await t.names.reload({ dns: { records: t.records() } });
    await waitFor('the name to be gone', async () => (await t.names.ask('new', 'TXT')).rcode === 'NXDOMAIN');
    await waitFor('a later serial', async () => isNewer(await t.names.serial(), changed));
    assert.equal(await t.now(), 'a');
  });

  scene('a zone without anything to steer has one as well, that moves with its records', async (s) => {
    const names = await Nameserver.start(s, { dns: { records: [{ name: 'www', a: ['192.0.2.1'] }] }, more: { state_dir: folder(s) } });
    const before = await names.serial();
    assert.ok(before > 0);
    await names.reload({ dns: { records: [{ name: 'www', a: ['192.0.2.2'] }] } });
    await names.until('www', '192.0.2.2');
    await waitFor('a later serial', async () => isNewer(await names.serial(), before));
  });
});

describe('a reload', { concurrency: 2 }, () => {
  scene('changes answers, zone and listeners, and no question is lost over it', async (s) => {
    const t = await Steered.start(s, {});
    await t.judged({ a: 'up', b: 'up' });
    await t.regions.a.kill();
    await t.until('b');
    let [asked, wrong] = [0, 0];
    let isOver = false;
    const asking = (async () => {
      const u = await t.names.udp();
      while (!isOver) {
        const { rcode, answer } = await u.ask(t.names.query('www')); // rejects when one is lost
        asked++;
        if (rcode !== 'NOERROR' || answer[0].data !== t.address('b')) wrong++;
      }
    })();
    for (let i = 0; i < 5; i++) await t.names.reload({ dns: { records: t.records([{ name: `n${i}`, a: ['192.0.2.77'] }]) } });
    isOver = true;
    await asking;
    assert.ok(asked > 10 && wrong === 0, `${wrong} of ${asked}`);
    assert.deepEqual(await t.names.data('n4'), ['192.0.2.77']);

    const port = await s.freePort();
    t.names.listen = [`127.0.0.1:${port}`];
    const old = await t.names.tcp();
    await t.names.reload({});
    const former = t.names.port;
    t.names.port = port;
    await t.until('b');
    await assert.rejects(s.connect(former));
    assert.equal((await old.ask(t.names.query('www'))).rcode, 'NOERROR', 'who is connected stays');
  });

  scene('that is wrong changes nothing', async (s) => {
    const t = await Steered.start(s, {});
    await t.until('a');
    const before = await t.names.serial();
    await assert.rejects(t.names.reload({ dns: { records: [{ name: 'www', answers: [{ target: 'nobody', a: ['192.0.2.1'] }] }] } }), /reload failed/);
    assert.deepEqual([await t.now(), await t.names.serial()], ['a', before]);
  });
});

describe('when a process is gone', { concurrency: 2 }, () => {
  scene('without a checker the answers stand as they are, and its successor knows them', async (s) => {
    const t = await Steered.start(s, { state: folder(s) });
    await t.judged({ a: 'up', b: 'up' });
    await t.regions.a.kill();
    await t.until('b');
    const serial = await t.names.serial();
    const { pid } = (await t.gateway.processes()).checker;
    process.kill(pid, 'SIGKILL');
    let isBack = false;
    const back = another(t, 'checker', pid).then(() => { isBack = true; });
    while (!isBack) assert.equal(await t.now(), 'b');
    await back;
    await later(500);
    assert.deepEqual([await t.now(), await t.names.serial()], ['b', serial]);
    await s.region({ name: 'a', port: t.regions.a.port });
    await t.until('a');
  });

  scene('a checker that hangs says nothing, and nothing is not "down"', async (s) => {
    const t = await Steered.start(s, {});
    await t.judged({ a: 'up', b: 'up' });
    const { pid } = (await t.gateway.processes()).checker;
    process.kill(pid, 'SIGSTOP');
    s.atEnd(() => { try { process.kill(pid, 'SIGCONT'); } catch { /* replaced by another */ } });
    await t.regions.a.kill();
    for (let i = 0; i < 30; i++) {
      assert.equal(await t.now(), 'a');
      await later(50);
    }
    process.kill(pid, 'SIGCONT');
    await t.until('b');
  });

  scene('the process that answers is replaced, and who asked meanwhile is answered', async (s) => {
    const t = await Steered.start(s, {});
    await t.judged({ a: 'up', b: 'up' });
    await t.regions.a.kill();
    await t.until('b');
    const serial = await t.names.serial();
    const { pid } = await t.names.process();
    process.kill(pid, 'SIGKILL');
    const u = await t.names.udp();
    const answer = await u.ask(t.names.query('www'), 8000); // one question, asked once
    assert.equal(answer.answer[0].data, t.address('b'));
    const tcp = await t.names.tcp();
    assert.equal((await tcp.ask(t.names.query('www'), 8000)).answer[0].data, t.address('b'));
    assert.notEqual((await another(t, 'dns', pid)).pid, pid);
    assert.equal(await t.names.serial(), serial);
  });
});
