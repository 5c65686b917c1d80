// What the engine needs in JavaScript itself: `console`, random numbers from a seed, scripts that say their line.
// Comes to an object with the functions that `engine.rs` calls.
(function (global) {
  'use strict';

  // What scripts change of the globals changes nothing here.
  const { acorn, eval: evaluate, Error, Map, Set, String } = global;
  const { stringify } = global.JSON;
  let write = global.__write;
  delete global.acorn;
  delete global.__write;

  // A value as people want to read it in a log.
  function inspect(value) {
    switch (typeof value) {
      case 'string': return value;
      case 'bigint': return `${value}n`;
      case 'function': return `[function ${value.name || 'without a name'}]`;
      case 'object': break;
      default: return String(value);
    }
    if (value instanceof Error) return `${value.name}: ${value.message}`;
    if (value instanceof Map) return `Map ${inspect([...value])}`;
    if (value instanceof Set) return `Set ${inspect([...value])}`;
    try {
      return stringify(value) ?? String(value);
    } catch {
      return '[object that cannot be shown]';
    }
  }

  const printer = isError => (...values) => write(`${values.map(inspect).join(' ')}\n`, isError);
  global.console = {
    log: printer(false), info: printer(false), debug: printer(false), warn: printer(true), error: printer(true),
  };

  // Mulberry32, begun from a text: small, fast, and good enough for simulations.
  function random(seed) {
    let state = 0x811c9dc5;
    for (const letter of seed) state = Math.imul(state ^ letter.codePointAt(0), 0x01000193) >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  }

  // What to write where into a script, so that it sets `__line` before each statement.
  function marks(program) {
    const found = [];
    const mark = line => `__line=${line};`;
    const list = statements => {
      for (const statement of statements) {
        const says = statement.directive !== undefined || statement.type === 'FunctionDeclaration';
        if (!says) found.push([statement.start, mark(statement.loc.start.line)]);
        visit(statement);
      }
    };
    const single = statement => {
      if (statement.type === 'BlockStatement') return visit(statement);
      found.push([statement.start, `{${mark(statement.loc.start.line)}`]);
      visit(statement);
      found.push([statement.end, '}']);
    };
    const visit = node => {
      for (const key of Object.keys(node)) {
        const child = node[key];
        if (child === null || typeof child !== 'object' || key === 'loc') continue;
        const isBody = key === 'body' || key === 'consequent' || key === 'alternate';
        if (Array.isArray(child)) {
          const isList = isBody && node.type !== 'ClassBody';
          if (isList) list(child);
          else for (const element of child) if (element) visit(element);
        } else if (isBody && /^(If|For|While|DoWhile|With)/.test(node.type)) {
          single(child);
        } else if (typeof child.type === 'string') {
          visit(child);
        }
      }
    };
    visit(program);
    return found;
  }

  global.__line = 0;
  return {
    // Gets ready for a script.
    prepare(data, seed) {
      global.Math.random = random(seed);
      global.data = data;
    },

    // What the script came to, as JSON. Its `let` and `const` are seen by code that is read after it, not by this here.
    finish(last) {
      const result = evaluate('typeof result === "undefined" ? undefined : result');
      return stringify(result === undefined ? last : result) ?? 'null';
    },

    describe: inspect,

    // The script as it says its lines; what it writes from now on is not written again.
    mark(script) {
      write = () => {};
      let program;
      try {
        program = acorn.parse(script, { ecmaVersion: 2022, locations: true, allowHashBang: true });
      } catch (error) {
        if (error.loc) global.__line = error.loc.line;
        throw error;
      }
      let code = '';
      let done = 0;
      for (const [at, text] of marks(program)) {
        code += script.slice(done, at) + text;
        done = at;
      }
      return code + script.slice(done);
    },

    get line() {
      return global.__line;
    },
  };
})(globalThis);
