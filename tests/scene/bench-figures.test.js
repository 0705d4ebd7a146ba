'use strict';
// What tests/bench makes of its measurements: medians and spreads, targets that are met or missed, and RESULTS.md.
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
process.env.TIDEGATE_BUILD ??= 'build'; // nothing of it is started here
const { parseScenario } = require('../bench/lib/scenarios.js');
const { compare } = require('../bench/lib/compare.js');
const { Report, blockText } = require('../bench/lib/report.js');
const { median, medianRatio, spread, range, bestOf } = require('../bench/lib/figures.js');
const { markdown } = require('../bench/lib/table.js');
const { targets, targetsText } = require('../bench/lib/targets.js');
const { reasons } = require('../bench/lib/reasons.js');
const { save, loadSections, render } = require('../bench/lib/results.js');
const { shareOf } = require('../bench/lib/cores.js');

// The row of the targets' table for this work, as cells.
const rowOf = (text, work) => text.split('\n').find((line) => line.startsWith(`| ${work} `))?.split('|').slice(1, -1).map((cell) => cell.trim());
const rates = (of) => Object.fromEntries(Object.entries(of).map(([name, [rate, cpu]]) => [name, { round_trips_per_second: rate, cpu_us: cpu }]));

test('the median is the middle one, or between the two middle ones', () => {
  assert.equal(median([3]), 3);
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([10, 9, 1, 2]), 5.5);
});

test('a ratio is that of one round, and the median of these', () => {
  // the machine was slow in the second round, for both
  assert.equal(medianRatio([110, 55, 110], [100, 50, 100]), 1.1);
  assert.equal(medianRatio([10, 20, 30], [10, 10, 10]), 2);
});

test('the spread is how far the lowest and the highest round are from the median', () => {
  assert.equal(spread([100, 97, 105]), '-3 +5 %');
  assert.equal(spread([100]), '-', 'one round has none');
  assert.equal(spread([0, 0]), '-', 'and neither has nothing');
  assert.equal(range([1.021, 1.09, 1.05], (x) => x.toFixed(2)), '1.02-1.09');
  assert.equal(range([1.021, 1.0209], (x) => x.toFixed(2)), '1.02');
});

test('the best has the best median, not the best round', () => {
  const figures = { steady: [10, 10, 10], lucky: [9, 30, 9] };
  assert.equal(bestOf(figures, ['steady', 'lucky'], true), 'steady');
  assert.equal(bestOf(figures, ['steady', 'lucky'], false), 'lucky');
  assert.equal(bestOf(figures, [], true), null);
});

test('a table is Markdown with aligned columns', () => {
  assert.equal(markdown(['', 'n'], [['a', 1], ['bcd', 100]]), '|     |   n |\n|-----|----:|\n| a   |   1 |\n| bcd | 100 |');
});

// What `found`, name -> rounds of [rate, cpu], becomes in a report.
function compared(found, how, losses = {}) {
  const findings = Object.entries(found).map(([name, list]) => [
    name, list.map(([rate, cpu]) => ({ rate, cpu_us: cpu, failed: 0, dropped: 0, first_error: '', ...losses[name] })),
  ]);
  const log = console.log;
  console.log = () => {};
  try {
    const report = new Report({ name: 'x' });
    compare(report, new Map(findings), { id: 'x', title: 'X', key: 'rate', extra: [], ...how });
    return report.section;
  } finally {
    console.log = log;
  }
}

test('programs are held against nginx and the plain relay, with the spread of their rounds', () => {
  const { blocks, measures } = compared({ raw: [[200, 5], [200, 5]], nginx: [[100, 10], [100, 10]], tidegate: [[90, 8], [130, 8]] }, {});
  assert.equal(blocks.length, 1);
  assert.deepEqual(blocks[0].head, ['', 'per second', 'spread', 'of nginx', 'of plain relay', 'proxy CPU us each', 'spread', 'of nginx']);
  assert.deepEqual(blocks[0].rows[2], ['Tidegate', '110', '-18 +18 %', '1.10x', '0.55x', '8.00', '-0 +0 %', '0.80x']);
  assert.deepEqual(measures.x.tidegate, { rate: [90, 130], cpu_us: [8, 8] });
});

test('among the best, the fastest and the most frugal may be different ones', () => {
  const { blocks } = compared({ nginx: [[100, 10]], haproxy: [[200, 20]], tidegate: [[150, 15]] }, { amongBest: true });
  assert.deepEqual(blocks[0].rows[2], ['Tidegate', '150', '-', '0.75x', '15.00', '-', '1.50x']);
});

test('who lost connections is named below the table', () => {
  const { blocks } = compared({ nginx: [[100, 10], [100, 10]], tidegate: [[90, 8], [130, 8]] }, {}, { nginx: { dropped: 2, first_error: 'reset' } });
  assert.equal(blockText(blocks[1]), '- nginx: 0 failed, 4 lost in all rounds (reset)');
});

test('a target is met by the median of the rounds, and what was not measured is neither met nor missed', () => {
  const text = targetsText({ h2: rates({ nginx: [[100, 100, 100], [20, 20, 20]], tidegate: [[150, 140, 90], [10, 12, 11]] }) });
  assert.deepEqual(rowOf(text, 'uncached proxying, HTTP/2'), [
    'uncached proxying, HTTP/2', 'at least nginx', '1.40 x nginx', '0.90-1.50', '0.55 x nginx', 'met, not in every round',
  ]);
  assert.deepEqual(rowOf(text, 'cached hit over HTTP/2').slice(2), ['not measured', '-', '-', '-']);
  assert.ok(!text.includes('\n- '), 'no reasons for what is not missed');
});

test('of a run that measured little, only that is shown', () => {
  const text = targetsText({ h2: rates({ nginx: [[100], [20]], tidegate: [[150], [10]] }) }, { onlyMeasured: true });
  assert.equal(text.split('\n').length, 3);
  assert.equal(targetsText({}, { onlyMeasured: true }), null);
});

test('a missed target says by how much and why, and only then', () => {
  const measures = (own) => ({ h2: rates({ nginx: [[100], [20]], tidegate: [[own], [25]] }) });
  const missed = targetsText(measures(88), { because: { h2: 'It is slower.' } });
  assert.equal(rowOf(missed, 'uncached proxying, HTTP/2').at(-1), 'missed by 12 %');
  assert.match(missed, /\n- uncached proxying, HTTP\/2 \(at least nginx\): missed by 12 %. It is slower\.$/);
  assert.doesNotMatch(targetsText(measures(101), { because: { h2: 'It is slower.' } }), /slower/);
  assert.match(targetsText(measures(88), { because: {} }), /Why is not known yet/);
});

test('the best peer is whoever was best, and the plain relay is none', () => {
  const measures = { wss: rates({ raw: [[900], [1]], nginx: [[100], [20]], haproxy: [[200], [25]], tidegate: [[210], [15]] }) };
  const row = rowOf(targetsText(measures), 'opaque relay, 128 B ping-pong, 500 connections, TLS');
  assert.deepEqual(row.slice(2), ['1.05 x HAProxy', '1.05', '0.75 x nginx', 'met']);
});

test('what costs is held against whoever needs least', () => {
  const added = (us) => ({ added_p50_us: us, added_p99_us: us.map((each) => 10 * each) });
  const measures = { latency: { nginx: added([50, 60, 55]), haproxy: added([70, 70, 70]), tidegate: added([50, 66, 44]) } };
  const text = targetsText(measures);
  assert.deepEqual(rowOf(text, 'added latency at half of saturation, p50').slice(2), ['50 us; nginx 55', '44-66', '-', 'met, not in every round']);
  measures.latency.tidegate = added([110, 110, 110]);
  assert.equal(rowOf(targetsText(measures), 'added latency at half of saturation, p99').at(-1), 'missed by 100 %');
  measures.latency.tidegate = added([165, 165, 165]);
  assert.equal(rowOf(targetsText(measures), 'added latency at half of saturation, p99').at(-1), 'missed: 3.0 times as much');
  measures.latency.nginx = added([-5, -5, -5]); // less than without a proxy: the machine was not quiet
  assert.equal(rowOf(targetsText(measures), 'added latency at half of saturation, p99').at(-1), 'missed');
});

test('growth is the dearest number of connections beside the fewest', () => {
  const own = { cpu_us_100: [10, 10], cpu_us_1000: [12, 12], cpu_us_9000: [11, 11], each_5000: [1000, 1000], each_9000: [1100, 1100] };
  const text = targetsText({ growth: { tidegate: own } });
  const [cpu, memory] = ['CPU per message, 1,000 and 9,000 connections beside 100', 'memory of each connection more, 5,000 to 9,000 beside 1,000 to 5,000'];
  assert.deepEqual(rowOf(text, cpu).slice(2), ['1.20 x', '1.20', '-', 'missed by 4 %']);
  assert.deepEqual(rowOf(text, memory).slice(2), ['1.10 x', '1.10', '-', 'met']);
  const withFloor = targetsText({ growth: { tidegate: own, raw: { ...own, cpu_us_1000: [10, 10] } } });
  assert.equal(rowOf(withFloor, cpu)[2], '1.20 x; the plain relay 1.10 x');
});

test('each target has a name of its own, and each reason a target', () => {
  const ids = targets.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual(Object.keys(reasons).filter((id) => !ids.includes(id)), []);
});

test('of a report for people, the figures of a scenario are read by their columns', () => {
  const line = (...cells) => `${cells[0].padEnd(26)} ${cells[1].padStart(12)} ${cells[2].padStart(12)}`;
  const text = ['ws://a/', 'latency      p50 1', '', 'scenario failover: a region goes', line('', 'theirs', 'ours'), line('longest silence', '5-10 s', '255 ms'), line('messages lost', '-', '65'), '', 'good'].join('\n');
  assert.deepEqual(parseScenario(text, 'failover'), { summary: 'a region goes', rows: [['longest silence', '5-10 s', '255 ms'], ['messages lost', '-', '65']] });
  assert.equal(parseScenario(text, 'updates'), null);
});

test('what is left of a core is seen by the moments in which it got little done', () => {
  assert.deepEqual(shareOf([100, 110, 90], [100, 100, 100, 100]), { slow: 0, slowAlone: 0, least: 1 });
  assert.deepEqual(shareOf([100, 110, 90, 80], [95, 85, 86, 47.5]), { slow: 0.5, slowAlone: 0.25, least: 0.5 });
});

test('RESULTS.md keeps the sections of what was not run again, each with its command and its note', (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-results-'));
  t.after(() => fs.rmSync(dir, { recursive: true }));
  const section = (name, date, blocks) => ({
    name, command: `tests/bench/run ${name}`, date, rounds: 3, seconds: 2, machine: 'A machine', load: 0.25, versions: ['nginx 1.0'], blocks, measures: {},
  });
  const table = { title: 'A table', head: ['', 'n'], rows: [['nginx', '1']] };
  save(section('old', '2026-01-01', [table]), dir);
  save(section('new', '2026-01-01', [table]), dir);
  save({ ...section('new', '2026-02-02', [table, { remark: 'one' }, { remark: 'two' }]), coreShare: { slow: 0.125, slowAlone: 0.01, least: 0.56 } }, dir);
  const catalogue = [{ name: 'new', group: 'First', title: 'News' }, { name: 'old', group: 'Second', title: 'Olds' }, { name: 'none', group: 'Third', title: 'Nothing' }];
  const text = render(catalogue, loadSections(dir), new Map([['intro', 'What this is.'], ['old', '- a note'], ['none', '- unused']]));
  assert.match(text, /^# Results\n\nWhat this is\.\n\n## Targets\n\n\|/);
  assert.match(text, /## First\n\n### News\n\n`tests\/bench\/run new`, 2026-02-02, 3 rounds of 2 s\. A machine\. nginx 1\.0\. Load of the machine before the run: 0\.3\. A core while the other one was busy, for a second and a half before it: in 13 % of the moments less than 90 % of its speed \(alone: in 1 %\), at least 56 %\.\n\nA table\n\n\|/);
  assert.match(text, /\n\n- one\n- two\n\n## Second\n\n### Olds\n\n`tests\/bench\/run old`, 2026-01-01/);
  assert.match(text, /\n\n- a note\n$/);
  assert.doesNotMatch(text, /Third|unused/);
});

test('what is kept of a run is read back as it was', (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-results-'));
  t.after(() => fs.rmSync(dir, { recursive: true }));
  const section = { name: 'one', versions: ['a [b'], blocks: [{ title: 'x {y}', head: ['[ ', ' ]'], rows: [['1', '2']] }], measures: { id: { nginx: { rate: [1.5, 2] } } } };
  save(section, dir);
  assert.deepEqual(loadSections(dir).get('one'), section);
});
