'use strict';
// RESULTS.md, written from what the benchmarks left behind (results/NAME.json, each of its own run) and from what people have to
// say about it (notes/NAME.md). A benchmark that was not run this time keeps its section.
const fs = require('node:fs');
const path = require('node:path');
const { blockText } = require('./report.js');
const { targetsText } = require('./targets.js');
const { SLOW_BELOW } = require('./cores.js');

const home = path.join(__dirname, '..');

// Lists of figures on one line each.
const packed = (value) => JSON.stringify(value, null, 1).replace(/\[\n\s*([^[\]{}]*?)\n\s*\]/g, (_, inside) => `[${inside.replace(/\s*\n\s*/g, ' ')}]`);

function save(section, dir = path.join(home, 'results')) {
  fs.mkdirSync(dir, { recursive: true });
  fs.writeFileSync(path.join(dir, `${section.name}.json`), `${packed(section)}\n`);
}

// name -> section
function loadSections(dir = path.join(home, 'results')) {
  const files = fs.existsSync(dir) ? fs.readdirSync(dir).filter((file) => file.endsWith('.json')) : [];
  return new Map(files.map((file) => [path.basename(file, '.json'), JSON.parse(fs.readFileSync(path.join(dir, file), 'utf8'))]));
}

// name -> text
function loadNotes(dir = path.join(home, 'notes')) {
  const files = fs.readdirSync(dir).filter((file) => file.endsWith('.md'));
  return new Map(files.map((file) => [path.basename(file, '.md'), fs.readFileSync(path.join(dir, file), 'utf8').trim()]));
}

const percent = (part) => `${Math.round(100 * part)} %`;

function originText({ command, date, rounds, seconds, machine, load, coreShare, versions }) {
  const length = rounds === undefined ? '' : `, ${rounds} ${rounds === 1 ? 'round' : 'rounds'} of ${seconds} s`;
  const before = load === undefined ? '' : ` Load of the machine before the run: ${load.toFixed(1)}.`;
  const beside = coreShare === undefined ? '' : ` A core while the other one was busy, for a second and a half before it: in ${percent(coreShare.slow)} of the moments less than ${percent(SLOW_BELOW)} of its speed (alone: in ${percent(coreShare.slowAlone)}), at least ${percent(coreShare.least)}.`;
  return `\`${command}\`, ${date}${length}. ${machine}. ${versions.join(', ')}.${before}${beside}`;
}

// Remarks stay together below their table, notes come last.
function sectionText(title, section, note) {
  const parts = [`### ${title}`, originText(section)];
  for (const [i, block] of section.blocks.entries()) {
    const isList = block.remark !== undefined && section.blocks[i - 1]?.remark !== undefined;
    if (isList) parts.push(`${parts.pop()}\n${blockText(block)}`);
    else parts.push(blockText(block));
  }
  return [...parts, ...(note === undefined ? [] : [note])].join('\n\n');
}

// The whole file. `catalogue`: [{ name, group, title }], in the order of the file.
function render(catalogue, sections, notes) {
  const parts = ['# Results', ...(notes.has('intro') ? [notes.get('intro')] : [])];
  const measures = Object.assign({}, ...[...sections.values()].map((section) => section.measures));
  parts.push('## Targets', ...(notes.has('targets') ? [notes.get('targets')] : []), targetsText(measures));
  let group = null;
  for (const { name, group: its, title } of catalogue) {
    if (!sections.has(name)) continue;
    if (its !== group) parts.push(`## ${its}`);
    group = its;
    parts.push(sectionText(title, sections.get(name), notes.get(name)));
  }
  return `${[...parts, ...(notes.has('end') ? [notes.get('end')] : [])].join('\n\n')}\n`;
}

function write(catalogue) {
  const file = path.join(home, 'RESULTS.md');
  fs.writeFileSync(`${file}.new`, render(catalogue, loadSections(), loadNotes()));
  fs.renameSync(`${file}.new`, file);
}

module.exports = { save, loadSections, write, render };
