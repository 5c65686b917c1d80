// Runs the cells of a note one after the other, in one scope, and comes to a list of what became of each.
// An entry has `printed`, and as far as there is one `text` and `value` (of the last statement), or `error`.
// After an error no more cells are run.
function (global, cells) {
  'use strict';

  const { data: parser, eval: evaluate, Error, Function, JSON, Map, Math, Object, Set, String } = global;
  // Cells have `data` to themselves.
  delete global.data;

  const LONGEST_TEXT = 20000;
  const LONGEST_VALUE = 200000;
  const MOST_ELEMENTS = 100;
  const WIDTH = 76;

  const lines = (open, parts, close) => {
    const single = `${open}${parts.join(', ')}${close}`;
    if (single.length <= WIDTH && !single.includes('\n')) return single;
    // Short ones, such as numbers, share lines.
    const rows = [];
    for (const part of parts) {
      const last = rows.length - 1;
      const fits = part.length < 14 && last >= 0 && rows[last].length + part.length + 4 < WIDTH;
      if (fits && !rows[last].includes('\n')) rows[last] += `, ${part}`;
      else rows.push(part);
    }
    return `${open.trim()}\n${rows.map(row => `  ${row.replaceAll('\n', '\n  ')}`).join(',\n')}\n${close.trim()}`;
  };

  const elements = (values, part) => {
    const shown = values.slice(0, MOST_ELEMENTS).map(part);
    if (values.length > shown.length) shown.push(`… ${values.length - shown.length} more`);
    return shown;
  };

  // A value as people write it in a program; a text by itself is only that.
  function show(value, around = []) {
    switch (typeof value) {
      case 'string': return around.length > 0 ? JSON.stringify(value) : value;
      case 'bigint': return `${value}n`;
      case 'function': return `[function ${value.name || 'without a name'}]`;
      case 'object': break;
      default: return Object.is(value, -0) ? '-0' : String(value);
    }
    if (value === null) return 'null';
    if (value instanceof Error) return `${value.name}: ${value.message}`;
    if (around.includes(value)) return '[itself]';
    const inside = [...around, value];
    const part = element => show(element, inside);
    if (typeof value.toJSON === 'function') return show(value.toJSON(), inside);
    if (global.Array.isArray(value)) return lines('[', elements(value, part), ']');
    if (value instanceof Set) return `Set ${lines('{ ', elements([...value], part), ' }')}`;
    const pair = arrow => ([key, element]) => `${arrow === ': ' ? name(key) : part(key)}${arrow}${part(element)}`;
    if (value instanceof Map) return `Map ${lines('{ ', elements([...value], pair(' => ')), ' }')}`;
    const parts = elements(Object.entries(value), pair(': '));
    return parts.length > 0 ? lines('{ ', parts, ' }') : '{}';
  }
  const name = key => (/^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? key : JSON.stringify(key));

  // Showing runs what cells have defined, so it can fail as well.
  const text = value => {
    try {
      const shown = show(value);
      return shown.length > LONGEST_TEXT ? `${shown.slice(0, LONGEST_TEXT)} …` : shown;
    } catch {
      return '[cannot be shown]';
    }
  };

  const json = value => {
    const plain = (_, part) => {
      if (typeof part === 'bigint' || (typeof part === 'number' && !Number.isFinite(part))) return String(part);
      return part instanceof Map || part instanceof Set ? [...part] : part;
    };
    try {
      const written = JSON.stringify(value, plain);
      return written.length > LONGEST_VALUE ? undefined : JSON.parse(written);
    } catch {
      return undefined;
    }
  };

  // Mulberry32, so that a note can be run a second time with the same numbers.
  let state;
  Math.random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };

  let printed;
  const print = (...values) => {
    if (printed.length < LONGEST_TEXT) printed += `${values.map(text).join(' ')}\n`;
    else if (!printed.endsWith('…\n')) printed += '…\n';
  };
  global.console = { log: print, info: print, debug: print, warn: print, error: print };

  // Each cell is read where the variables of those before it can be seen: it first leaves a function that does this for the
  // next. `let` and `const` would not outlive an `eval` otherwise, and so a cell may define a name again.
  let enter;
  global.__enter = next => { enter = next; };
  const begin = () => {
    state = 1;
    enter = new Function('__code', '"use strict"; return eval(__code)');
  };
  const run = code => {
    printed = '';
    return enter(`__enter(__code => eval(__code));${code}`);
  };

  // What to write where into a cell, so that it sets `__line` before each statement.
  function marks(program) {
    const found = [];
    const mark = statement => `__line=${statement.loc.start.line};`;
    const visit = node => {
      for (const [key, child] of Object.entries(node)) {
        if (child === null || typeof child !== 'object' || key === 'loc') continue;
        const isBody = key === 'body' || key === 'consequent' || key === 'alternate';
        if (global.Array.isArray(child)) {
          for (const element of child) {
            if (!element) continue;
            const isStatement = isBody && node.type !== 'ClassBody' && element.type !== 'FunctionDeclaration';
            if (isStatement) found.push([element.start, mark(element)]);
            visit(element);
          }
        } else if (isBody && /^(If|For|While|DoWhile)/.test(node.type) && child.type !== 'BlockStatement') {
          found.push([child.start, `{${mark(child)}`]);
          visit(child);
          found.push([child.end, '}']);
        } else if (typeof child.type === 'string') {
          visit(child);
        }
      }
    };
    visit(program);
    return found;
  }

  function marked(code) {
    const program = global.acorn.parse(code, { ecmaVersion: 2022, locations: true });
    let written = '';
    let done = 0;
    for (const [at, mark] of marks(program)) {
      written += code.slice(done, at) + mark;
      done = at;
    }
    return written + code.slice(done);
  }

  // The engine does not say in which line something was thrown. So the cells are run once more, with marks. Only a note that
  // fails pays for this, and for loading what finds the statements.
  function lineOfFailure(failed) {
    let at = null;
    try {
      evaluate(parser);
      Object.defineProperty(global, '__line', { set: line => { at = line; }, configurable: true });
      begin();
      for (const code of cells.slice(0, failed)) run(code);
      run(marked(cells[failed]));
    } catch (error) {
      return error?.loc?.line ?? at;
    }
    return null;
  }

  const report = [];
  begin();
  for (const code of cells) {
    const entry = {};
    report.push(entry);
    try {
      const value = run(code);
      entry.printed = printed;
      // What a loop or a branch comes to was seldom meant to be shown.
      if (value === undefined || code.trimEnd().endsWith('}')) continue;
      entry.text = text(value);
      entry.value = json(value);
    } catch (error) {
      entry.printed = printed;
      entry.error = { message: text(error), line: lineOfFailure(report.length - 1) };
      break;
    }
  }
  // The job would take a variable of this name in place of the list.
  delete global.result;
  return report;
}
