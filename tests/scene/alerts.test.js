// Who is told what, and when: webhooks and mail, delays, recoveries, groups, escalation, and targets that are not there.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { describe } = require('node:test');
const path = require('node:path');
const { Authority, MailSink, WebSink, journal, scene, waitFor } = require('./lib');

const CHECK = { type: 'http', path: '/health', interval: '100ms', timeout: '80ms', rise: 1, fall: 2 };

// A gateway with a primary and a backup and these alerts.
async function guarded(s, alerts, extra = {}) {
  const [primary, backup] = await Promise.all([s.region({ name: 'us-a' }), s.region({ name: 'eu-a' })]);
  const dir = fs.mkdtempSync(path.join(s.temp(), 'state-'));
  const config = {
    state_dir: dir,
    alerts,
    pools: {
      realtime: {
        check: CHECK,
        servers: [{ name: 'us-a', url: primary.url, tier: 'primary' }, { name: 'eu-a', url: backup.url, tier: 'backup' }],
      },
    },
    routes: [{ path: '/', pool: 'realtime' }],
    ...extra,
  };
  const gateway = await s.gateway(config);
  await waitFor('both regions to be up', async () => (await gateway.status()).pools[0].servers.every((v) => v.state === 'up'));
  return { primary, backup, gateway, dir, config };
}

const isTold = (sink, members) => sink.items().find(({ reason, event }) => Object.entries({ reason, ...event, ...members }).every(([k, v]) => ({ reason, ...event })[k] === v));
const told = (what, sink, members, ms) => waitFor(what, () => isTold(sink, members), ms);

describe('alerts: what is told', { concurrency: true }, () => {
  scene('a server that is killed: a post, a mail over STARTTLS, and the end of it', async (s) => {
    const ca = await Authority.create(s);
    const files = await ca.issue('mail', ['localhost']);
    const [cert, key] = [fs.readFileSync(files.cert), fs.readFileSync(files.key)];
    const web = await WebSink.open(s);
    const mail = await MailSink.open(s, { cert, key });
    const { primary, gateway, dir } = await guarded(s, [
      { name: 'chat', webhook: web.url, on: ['down', 'failover'], group: '100ms', authorization: 'Bearer secret-token' },
      {
        name: 'mail', on: ['down'], group: '0', tls: { ca: ca.file },
        email: { smtp: `smtp://localhost:${mail.port}`, from: 'gate@example.com', to: ['a@example.com', 'b@example.com'], username: 'gate', password: 'secret-word' },
      },
    ]);
    await primary.kill();
    const { id } = await told('the outage', web, { kind: 'down', reason: 'began', subject: 'realtime/us-a' });
    const post = web.got[0];
    assert.equal(post.headers['content-type'], 'application/json');
    assert.equal(post.headers.authorization, 'Bearer secret-token');
    assert.equal(post.json.status, 'firing');
    assert.equal(post.json.node, 'scene');
    assert.match(post.json.summary, /down: realtime\/us-a up -> down/);
    assert.equal(journal(dir).find((e) => e.kind === 'down').seq, id);
    const [letter] = await waitFor('the mail', () => mail.got.length > 0 && mail.got);
    assert.deepEqual(letter.to, ['a@example.com', 'b@example.com']);
    assert.equal(letter.from, 'gate@example.com');
    assert.ok(letter.isSecure);
    assert.equal(letter.user, 'gate:secret-word');
    assert.match(letter.text, /^Subject: \[scene\] down: realtime\/us-a up -> down/m);
    assert.match(letter.text, /tidegatectl ack/);
    await s.region({ name: 'us-a', port: primary.port });
    const end = await told('the end', web, { kind: 'up', reason: 'ended', subject: 'realtime/us-a' });
    assert.equal(end.id, id);
    assert.ok(end.event.duration_ms > 0);
    await waitFor('the second mail', () => mail.got.length === 2);
    assert.match(mail.got[1].text, /up: realtime\/us-a down -> up after/);
    const kept = fs.readFileSync(path.join(dir, 'alerts'), 'utf8');
    for (const secret of ['secret-token', 'secret-word', web.url]) {
      assert.ok(!gateway.process.log().includes(secret), 'in the log');
      assert.ok(!kept.includes(secret), 'on the disk');
    }
  });

  scene('mail over TLS from the start, and a certificate nobody vouches for', async (s) => {
    const ca = await Authority.create(s);
    const files = await ca.issue('mail', ['localhost']);
    const [cert, key] = [fs.readFileSync(files.cert), fs.readFileSync(files.key)];
    const mail = await MailSink.open(s, { cert, key, implicit: true });
    const email = { smtp: `smtps://localhost:${mail.port}`, from: 'gate@example.com', to: ['a@example.com'] };
    const { gateway } = await guarded(s, [{ name: 'good', email, tls: { ca: ca.file } }, { name: 'bad', email }]);
    const good = await gateway.ctl('alerts', 'test', 'good');
    assert.equal(good.stdout, 'good: delivered\n');
    assert.match(mail.got[0].text, /this is a test/);
    const bad = await gateway.ctl('alerts', 'test', 'bad');
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /certificate/i);
    assert.equal((await gateway.ctl('alerts', 'test', 'nobody')).code, 1);
    assert.equal((await gateway.ctl('alerts', 'tset', 'good')).code, 1);
  });

  scene('a mail server without STARTTLS gets nothing, the password least of all', async (s) => {
    const { createServer } = require('node:net');
    let heard = '';
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.write('220 plain ESMTP\r\n');
      socket.on('data', (part) => {
        heard += part;
        socket.write(/^EHLO/i.test(part) ? '250-plain\r\n250 AUTH PLAIN\r\n' : '250 ok\r\n');
      });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    s.atEnd(() => server.close());
    const email = { smtp: `smtp://127.0.0.1:${server.address().port}`, from: 'gate@example.com', to: ['a@example.com'], username: 'u', password: 'p' };
    const { gateway } = await guarded(s, [{ name: 'mail', email }]);
    assert.equal((await gateway.ctl('alerts', 'test', 'mail')).code, 1);
    assert.doesNotMatch(heard, /AUTH|MAIL|RCPT/);
  });

  scene('forms: a template for an SMS gateway, Slack, PagerDuty', async (s) => {
    const [sms, slack, pager] = [await WebSink.open(s), await WebSink.open(s), await WebSink.open(s)];
    const { primary } = await guarded(s, [
      { name: 'sms', webhook: sms.url, on: ['down'], group: '0', body: 'To=%2B49123&Body={{summary}}', content_type: 'application/x-www-form-urlencoded' },
      { name: 'slack', webhook: slack.url, form: 'slack', on: ['down'], group: '0' },
      { name: 'pager', webhook: pager.url, form: 'pagerduty', routing_key: 'r0ut1ng', on: ['down', 'failover'] , group: '200ms' },
    ]);
    await primary.kill();
    await waitFor('all three', () => sms.got.length && slack.got.length && pager.got.length === 2);
    const form = new URLSearchParams(sms.got[0].body);
    assert.equal(form.get('To'), '+49123');
    assert.match(form.get('Body'), /^\[scene\] down: realtime\/us-a up -> down/);
    assert.match(slack.got[0].json.text, /up -&gt; down/);
    const [first, second] = pager.got.map((post) => post.json);
    assert.equal(first.routing_key, 'r0ut1ng');
    assert.equal(first.event_action, 'trigger');
    assert.equal(first.dedup_key, 'tidegate/scene/down/realtime/us-a');
    assert.equal(first.payload.severity, 'critical');
    assert.equal(second.dedup_key, 'tidegate/scene/failover/realtime');
    await s.region({ name: 'us-a', port: primary.port });
    await waitFor('the end', () => pager.got.length === 4);
    assert.ok(pager.got.slice(2).every((post) => post.json.event_action === 'resolve'));
    assert.deepEqual(pager.got.slice(2).map((post) => post.json.dedup_key).sort(), [first.dedup_key, second.dedup_key].sort());
  });

  scene('only what lasts, only what is named; a burst is one message', async (s) => {
    const [long, other, burst] = [await WebSink.open(s), await WebSink.open(s), await WebSink.open(s)];
    const { primary, dir } = await guarded(s, [
      { name: 'long', webhook: long.url, on: ['down'], after: '30s', group: '0' },
      { name: 'other', webhook: other.url, on: ['down', 'up'], targets: ['realtime/eu-*'], group: '0' },
      { name: 'burst', webhook: burst.url, on: ['down', 'failover'], group: '1500ms' },
    ]);
    await primary.kill();
    await waitFor('the outage', () => journal(dir).find((e) => e.kind === 'failover' && e.phase === 'begins'));
    await s.region({ name: 'us-a', port: primary.port });
    await waitFor('the recovery', () => journal(dir).find((e) => e.kind === 'failover' && e.phase === 'ends'));
    await waitFor('the message', () => burst.got.length === 1);
    assert.deepEqual(burst.items().map((i) => i.reason).sort(), ['began', 'began', 'ended', 'ended']);
    assert.equal(burst.got[0].json.status, 'resolved');
    assert.equal(long.tried + other.tried, 0);
  });

  scene('what is open, and who takes care of it, in every place that shows it', async (s) => {
    const [web, pager] = [await WebSink.open(s), await WebSink.open(s)];
    const { primary, gateway, dir } = await guarded(s, [
      { name: 'chat', webhook: web.url, on: ['down'], group: '0' },
      { name: 'pager', webhook: pager.url, form: 'pagerduty', routing_key: 'r0ut1ng', on: ['down'], group: '0' },
    ]);
    assert.equal((await gateway.ctl('alerts')).stdout, 'nothing is open\n');
    await primary.kill();
    const { id } = await told('the outage', web, { kind: 'down', reason: 'began' });
    await waitFor('the pager', () => pager.got.length === 1);
    const { open } = JSON.parse((await gateway.ctl('--json', 'alerts')).stdout);
    assert.deepEqual(open.map((a) => [a.id, a.rule, a.kind, a.subject, a.told, a.acknowledged]), [
      [id, 'chat', 'down', 'realtime/us-a', true, false], [id, 'pager', 'down', 'realtime/us-a', true, false]]);
    assert.equal((await gateway.ctl('ack', `#${id}`)).code, 0);
    // The pager is told that somebody cares, under the key of the incident it has; the chat is not bothered.
    await waitFor('the pager to be told', () => pager.got.length === 2);
    assert.equal(pager.got[1].json.event_action, 'acknowledge');
    assert.equal(pager.got[1].json.dedup_key, pager.got[0].json.dedup_key);
    assert.equal(web.got.length, 1);
    const { cause } = await waitFor('the journal', () => journal(dir).find((e) => e.kind === 'ack'));
    const who = cause.replace(/^by /, '');
    assert.notEqual(who, '');
    assert.match((await gateway.ctl('alerts')).stdout, new RegExp(`^${id} +chat +down +realtime/us-a +down .*acknowledged by ${who} at 20`, 'm'));
    await waitFor('all to be delivered', async () => (await gateway.metrics()).sum('alerts_sent_total') === 3);
    const page = await gateway.admin('/alerts');
    assert.ok(page.open.every((a) => a.acknowledged_by === who && a.acknowledged_at !== null));
    assert.deepEqual(page.waiting, []);
    const m = await gateway.metrics();
    assert.deepEqual(['alerts_open', 'alerts_acknowledged', 'alerts_sent_total', 'alerts_waiting'].map((name) => m.sum(name)), [2, 2, 3, 0]);
    await s.region({ name: 'us-a', port: primary.port });
    await waitFor('the end of it', async () => (await gateway.metrics()).sum('alerts_open') === 0);
  });

  scene('what is not acknowledged is handed on', async (s) => {
    const [first, second] = [await WebSink.open(s), await WebSink.open(s)];
    const { primary, backup, gateway, dir } = await guarded(s, [
      { name: 'first', webhook: first.url, on: ['down'], group: '0', repeat: '300ms', escalate: { after: '600ms', to: 'second' } },
      { name: 'second', webhook: second.url, on: ['stop'], group: '0' },
    ]);
    await primary.kill();
    const { id } = await told('the first', first, { reason: 'began' });
    await told('it again', first, { reason: 'lasts' });
    const handed = await told('the second', second, { reason: 'escalated' });
    assert.equal(handed.id, id);
    assert.equal((await gateway.ctl('ack', String(id + 1000))).code, 1);
    const ack = await gateway.ctl('ack', String(id));
    assert.equal(ack.code, 0);
    assert.match(ack.stdout, /acknowledged, in 2 alerts/);
    await waitFor('the journal', () => journal(dir).find((e) => e.kind === 'ack' && e.subject === `#${id}`));
    await s.region({ name: 'us-a', port: primary.port });
    await told('the end, to the second', second, { reason: 'ended' });
    // Another one is acknowledged at once, and then the end is all that follows.
    await backup.kill();
    const next = await told('the next', first, { reason: 'began', subject: 'realtime/eu-a' });
    assert.equal((await gateway.ctl('ack')).code, 0);
    const count = second.tried;
    const before = first.items().filter((i) => i.id === next.id).length;
    assert.equal((await gateway.ctl('ack')).code, 1); // there is nothing left
    await new Promise((resolve) => setTimeout(resolve, 1000)); // longer than both repeat and escalate
    assert.equal(second.tried, count);
    assert.equal(first.items().filter((i) => i.id === next.id).length, before);
  });
});

describe('alerts: targets that are not there', { concurrency: true }, () => {
  scene('a dead webhook gets it later, and nobody waits for it', async (s) => {
    const good = await WebSink.open(s);
    const port = await s.freePort();
    const { primary, gateway } = await guarded(s, [
      { name: 'dead', webhook: `http://127.0.0.1:${port}/hook`, on: ['down'], group: '0' },
      { name: 'good', webhook: good.url, on: ['down'], group: '0' },
    ]);
    await primary.kill();
    await told('the other', good, { kind: 'down' }, 2000);
    await gateway.process.line(/alert not delivered alert=dead/);
    const late = await WebSink.open(s, { port });
    await told('it', late, { kind: 'down' }, 10000);
    assert.equal(late.got.length, 1);
    await waitFor('both to be counted', async () => (await gateway.metrics()).sum('alerts_sent_total') === 2);
    const m = await gateway.metrics();
    assert.ok(m.sum('alert_attempts_failed_total') >= 1);
    assert.equal(m.sum('alert_retries_total'), m.sum('alert_attempts_failed_total')); // the last one arrived
    assert.equal(m.sum('alerts_dropped_total'), 0);
  });

  scene('a webhook that never answers costs nothing but its own time', async (s) => {
    const [hung, good] = [await WebSink.open(s), await WebSink.open(s)];
    hung.answer = () => 0;
    const { primary, gateway } = await guarded(s, [
      { name: 'hung', webhook: hung.url, on: ['down'], group: '0', timeout: '500ms' },
      { name: 'good', webhook: good.url, on: ['down'], group: '0' },
    ]);
    await primary.kill();
    await waitFor('the attempt', () => hung.tried === 1);
    await told('the other', good, { kind: 'down' }, 2000);
    const begin = Date.now();
    await gateway.health();
    assert.ok(Date.now() - begin < 400);
    hung.answer = 503;
    await waitFor('the next attempt', () => hung.tried === 2);
    hung.answer = 200;
    await told('it', hung, { kind: 'down' }, 10000);
  });

  scene('what could not be delivered is, after a restart of the gateway', async (s) => {
    const port = await s.freePort();
    const { primary, gateway, config, dir } = await guarded(s, [{ name: 'dead', webhook: `http://127.0.0.1:${port}/hook`, on: ['down'], group: '0' }]);
    await primary.kill();
    await gateway.process.line(/alert not delivered alert=dead/);
    const { seq } = journal(dir).find((e) => e.kind === 'down');
    await gateway.stop();
    const late = await WebSink.open(s, { port });
    const second = await s.gateway(config);
    const { id } = await told('it', late, { kind: 'down', reason: 'began' }, 10000);
    assert.equal(id, seq);
    await s.region({ name: 'us-a', port: primary.port });
    assert.equal((await told('the end', late, { reason: 'ended' }, 10000)).id, seq);
    await waitFor('that to be kept', () => JSON.parse(fs.readFileSync(path.join(dir, 'alerts'), 'utf8')).deliveries.length === 0);
    process.kill((await second.processes()).admin.pid, 'SIGKILL');
    await waitFor('the new admin process', async () => (await second.processes()).admin?.restarts === 1, 10000);
    assert.equal(late.items().filter((i) => i.reason === 'began').length, 1, 'nothing is told twice');
  });

  scene('without an admin address they are sent all the same', async (s) => {
    const web = await WebSink.open(s);
    const region = await s.region();
    const gateway = await s.gateway({
      admin: { address: '' }, alerts: [{ webhook: web.url, on: ['start', 'stop'] }],
      pools: { all: { servers: [{ name: 'a', url: region.url }] } }, routes: [{ path: '/', pool: 'all' }],
    }, { isReady: false });
    await gateway.process.line(/supervisor ready/);
    assert.equal((await gateway.ctl('alerts', 'test', 'alert-1')).stdout, 'alert-1: delivered\n');
  });
});
