'use strict';

const assert = require('node:assert/strict');
const { afterEach, beforeEach, describe, test } = require('node:test');
const fc = require('fast-check');
const { BASE_URL_VARIABLES, Matcher } = require('../lib/match.js');
const { isHostRule } = require('../lib/host-rule.js');

const saved = {};
beforeEach(() => {
  for (const name of BASE_URL_VARIABLES) {
    saved[name] = process.env[name];
    delete process.env[name];
  }
});
afterEach(() => {
  for (const name of BASE_URL_VARIABLES) {
    if (saved[name] === undefined) delete process.env[name];
    else process.env[name] = saved[name];
  }
});

function matcher({ includeAllRequests = false, hosts = [] } = {}) {
  const warnings = [];
  const rules = new Matcher({ includeAllRequests, hosts }, (text) => warnings.push(text));
  /** Split as the hooks split it, the path verbatim. */
  const matches = (url, method = 'POST') => {
    const [, origin, path] = /^([a-z]+:\/\/[^/?#]*)(.*)$/i.exec(url);
    return rules.matches(origin, path === '' ? '/' : path, method);
  };
  return { matches, rules, warnings };
}

/** Each line: `+` recorded or `-` not, and a URL. Asked twice, since the second answer comes from a cache. */
function check({ matches }, table) {
  for (const line of table.trim().split('\n')) {
    const [sign, url] = line.trim().split(/\s+/);
    for (let i = 0; i < 2; i++) assert.equal(matches(url), sign === '+', `${sign} ${url}`);
  }
}

test('the Messages API of Anthropic, by whole path segments', () => {
  check(matcher(), `
    + https://api.anthropic.com/v1/messages
    + https://api.anthropic.com:443/v1/messages?beta=true
    + https://API.Anthropic.COM/v1/messages
    + https://api.anthropic.com./v1/messages
    + https://api.anthropic.com/v1/messages/count_tokens?beta=true
    + https://api.anthropic.com/v1/messages/batches/msgbatch_1/results
    + https://api.anthropic.com/proxy/v1/messages#x
    - https://api.anthropic.com/v1/complete
    - https://api.anthropic.com/v1/messagesx
    - https://api.anthropic.com/v1/messages-batch
    - https://api.anthropic.com/v11/messages
    - https://api.anthropic.com/messages
    - https://api.anthropic.com/api/event_logging/batch
    - https://api.anthropic.com/search?next=/v1/messages
    - https://api.anthropic.com/
    - https://console.anthropic.com/v1/messages
    - https://api.openai.com/v1/chat/completions
    - https://api.openai.com/v1/messages
  `);
});

test('hosts that only look alike', () => {
  check(matcher(), `
    - https://api.anthropic.com.evil.example/v1/messages
    - https://evil.example/api.anthropic.com/v1/messages
    - https://xapi.anthropic.com/v1/messages
    - https://api-anthropic.com/v1/messages
    - https://evil.example/v1/messages?host=api.anthropic.com
    - https://bedrock-runtime.us-east-1.amazonaws.com.evil.example/model/m/invoke
    - https://evil.example/bedrock-runtime.us-east-1.amazonaws.com/model/m/invoke
    - https://aiplatform.googleapis.com.evil.example/v1/x:rawPredict
  `);
});

test('Bedrock: every spelling of its endpoint', () => {
  const id = 'us.anthropic.claude-sonnet-4-20250514-v1%3A0';
  check(matcher(), `
    + https://bedrock-runtime.us-east-1.amazonaws.com/model/${id}/invoke
    + https://bedrock-runtime.us-east-1.amazonaws.com/model/${id}/invoke-with-response-stream
    + https://bedrock-runtime.eu-central-1.amazonaws.com/model/${id}/converse
    + https://bedrock-runtime.us-gov-west-1.amazonaws.com/model/${id}/converse-stream
    + https://bedrock-runtime-fips.us-east-1.amazonaws.com/model/${id}/invoke
    + https://bedrock-runtime.cn-north-1.amazonaws.com.cn/model/${id}/invoke
    + https://bedrock-runtime.us-east-1.api.aws/model/${id}/invoke
    + https://bedrock-runtime-fips.us-east-1.api.aws/model/${id}/count-tokens
    + https://vpce-0a1b2c3d-4e5f6g7h.bedrock-runtime.us-east-1.vpce.amazonaws.com/model/${id}/invoke
    + https://bedrock-mantle.us-east-1.api.aws/anthropic/v1/messages
    - https://bedrock-runtime.us-east-1.amazonaws.com/guardrail/g/version/1/apply
    - https://bedrock-runtime.us-east-1.amazonaws.com/model/${id}/invoke/x
    - https://bedrock.us-east-1.amazonaws.com/foundation-models
    - https://bedrock-runtime.amazonaws.com/model/${id}/invoke
    - https://s3.us-east-1.amazonaws.com/model/${id}/invoke
  `);
});

test('Vertex: regional, global and jurisdictional endpoints', () => {
  const model = 'v1/projects/p/locations/l/publishers/anthropic/models/claude-sonnet-4@20250514';
  check(matcher(), `
    + https://us-east5-aiplatform.googleapis.com/${model}:rawPredict
    + https://us-east5-aiplatform.googleapis.com/${model}:streamRawPredict?alt=sse
    + https://aiplatform.googleapis.com/${model}:streamRawPredict
    + https://aiplatform.eu.rep.googleapis.com/${model}:rawPredict
    + https://aiplatform.googleapis.com/${model}:generateContent
    + https://aiplatform.googleapis.com/${model}:streamGenerateContent?alt=sse
    + https://aiplatform.googleapis.com/${model}:countTokens
    - https://aiplatform.googleapis.com/${model}:fetchPredictOperation
    - https://aiplatform.googleapis.com/v1/projects/p/locations
    - https://oauth2.googleapis.com/token
    - https://generativelanguage.googleapis.com/v1beta/models/g:generateContent
    - https://myaiplatform.googleapis.com/${model}:rawPredict
  `);
});

test('Claude on Foundry and on AWS', () => {
  check(matcher(), `
    + https://contoso.services.ai.azure.com/anthropic/v1/messages
    + https://aws-external-anthropic.us-east-1.api.aws/v1/messages
    - https://contoso.services.ai.azure.com/openai/v1/chat/completions
  `);
});

describe('a base URL', () => {
  test('is honoured in scheme, host, port and path prefix; the known hosts stay', () => {
    process.env.ANTHROPIC_BASE_URL = 'https://gateway.corp.example:8443/llm/anthropic/';
    check(matcher(), `
      + https://gateway.corp.example:8443/llm/anthropic/v1/messages
      + https://gateway.corp.example:8443/llm/anthropic/eu/v1/messages?x=1
      - https://gateway.corp.example:8443/llm/anthropic2/v1/messages
      - https://gateway.corp.example:8443/v1/messages
      - https://gateway.corp.example:8443/llm/anthropic/v1/models
      - https://gateway.corp.example/llm/anthropic/v1/messages
      - http://gateway.corp.example:8443/llm/anthropic/v1/messages
      + https://api.anthropic.com/v1/messages
    `);
  });

  test('may contain the version, which the AI SDK expects of it', () => {
    process.env.ANTHROPIC_BASE_URL = 'http://127.0.0.1:4000/anthropic';
    check(matcher(), `
      + http://127.0.0.1:4000/anthropic/v1/messages
      + http://127.0.0.1:4000/anthropic/messages
      - http://127.0.0.1:4000/messages
      - http://127.0.0.1:4000/anthropic/chat/messages
    `);
  });

  test('has default ports, credentials and IPv6 like any URL', () => {
    process.env.ANTHROPIC_BASE_URL = 'HTTP://user:secret@[::1]:80';
    check(matcher(), `
      + http://[::1]/v1/messages
      + http://[::1]:80/v1/messages
      - https://[::1]/v1/messages
    `);
  });

  test('may come late, and stays one for the clients that were made with it', () => {
    const rules = matcher();
    check(rules, `
      - http://127.0.0.1:9/a/v1/messages
    `);
    process.env.ANTHROPIC_BASE_URL = 'http://127.0.0.1:9/a';
    check(rules, `
      + http://127.0.0.1:9/a/v1/messages
    `);
    process.env.ANTHROPIC_BASE_URL = 'http://127.0.0.1:9/b';
    check(rules, `
      + http://127.0.0.1:9/b/v1/messages
      + http://127.0.0.1:9/b/v1/messages/count_tokens
      + http://127.0.0.1:9/a/v1/messages
      - http://127.0.0.1:9/v1/messages
      - http://127.0.0.1:9/a/v1/models
      - http://127.0.0.1:10/a/v1/messages
    `);
    process.env.ANTHROPIC_BASE_URL = '';
    assert.equal(rules.matches('https://api.anthropic.com/v1/messages'), true);
  });

  test('of Bedrock, Vertex and the others counts too', () => {
    for (const name of BASE_URL_VARIABLES) {
      process.env[name] = `http://127.0.0.1:9/${name}`;
    }
    const rules = matcher();
    for (const name of BASE_URL_VARIABLES) {
      assert.equal(rules.matches(`http://127.0.0.1:9/${name}/model/m/invoke`), true, name);
      assert.equal(rules.matches(`http://127.0.0.1:9/${name}/p/m:streamRawPredict`), true, name);
      assert.equal(rules.matches(`http://127.0.0.1:9/${name}/other`), false, name);
    }
  });

  test('that cannot be parsed is one warning, without its secrets, and never an exception', () => {
    const rules = matcher();
    for (const text of ['localhost:8080', 'api.anthropic.com', 'http://', 'https://user:hunter2@[bad/x?key=hunter2']) {
      process.env.ANTHROPIC_BASE_URL = text;
      for (let i = 0; i < 3; i++) {
        assert.equal(rules.matches('http://localhost:8080/v1/messages'), false);
        assert.equal(rules.matches('https://api.anthropic.com/v1/messages'), true);
      }
    }
    assert.equal(rules.warnings.length, 4);
    assert.equal(rules.warnings[0], 'ANTHROPIC_BASE_URL="localhost:8080" is not an http(s) URL: only the known hosts are recorded');
    assert.ok(!rules.warnings.join('').includes('hunter2'));
  });
});

test('includeAllRequests: every path of those hosts, and no other host', () => {
  process.env.ANTHROPIC_BASE_URL = 'https://gateway.corp.example/llm';
  check(matcher({ includeAllRequests: true }), `
    + https://api.anthropic.com/api/event_logging/batch
    + https://api.anthropic.com/
    + https://gateway.corp.example/health
    + https://bedrock-runtime.us-east-1.amazonaws.com/guardrail/g/version/1/apply
    + https://aiplatform.googleapis.com/v1/projects
    - https://gateway.corp.example:8443/llm/v1/messages
    - https://registry.npmjs.org/claude-trace
  `);
});

describe('hosts', () => {
  test('every path there, in each form of naming them', () => {
    check(matcher({ hosts: ['api.openai.com', 'LOCALHOST:11434', '*.corp.example', 'https://gw.example/llm', 'http://[::1]:7', 'bücher.example'] }), `
      + https://api.openai.com/v1/chat/completions
      + http://api.openai.com:8080/
      - https://xapi.openai.com/v1/chat/completions
      - https://openai.com/v1/chat/completions
      + http://localhost:11434/api/chat
      - http://localhost:11435/api/chat
      + https://a.b.corp.example/x
      - https://corp.example/x
      - https://xcorp.example/x
      + https://gw.example/llm
      + https://gw.example/llm?q=1
      + https://gw.example:443/llm/v1/x
      - https://gw.example/llmx
      - https://gw.example:8443/llm
      - http://gw.example/llm
      + http://[::1]:7/anything
      - http://[::1]:8/anything
      + https://xn--bcher-kva.example/x
      + https://api.anthropic.com/v1/messages
      - https://api.anthropic.com/other
    `);
  });

  test('what is a rule and what is not', () => {
    for (const good of ['a', 'a.b', 'a:1', '*.a', '*.a:1', 'http://a', 'https://a:1/b/c/', 'https://*.a/b', '127.0.0.1:8080', '[::1]']) assert.ok(isHostRule(good), good);
    for (const bad of ['', '*', 'a*', '*a', '.a', 'a b', 'a:', 'a:x', 'a:99999', 'ftp://a', 'http://', 'http://a?b', 'http://u@a', 'u:p@a', '/a', 'a,b', '[::1', 'a\\b']) assert.ok(!isHostRule(bad), bad);
  });
});

test('an absolute request target, as a client sends it to a proxy, counts by itself', () => {
  const { rules } = matcher();
  assert.equal(rules.matches('http://proxy.example:3128', 'http://api.anthropic.com/v1/messages?beta=true', 'POST'), true);
  assert.equal(rules.matches('http://api.anthropic.com', 'http://registry.npmjs.org/v1/messages', 'POST'), false);
});

test('a tunnel is no exchange', () => {
  const { rules } = matcher({ includeAllRequests: true });
  assert.equal(rules.matches('https://api.anthropic.com', 'api.anthropic.com:443', 'CONNECT'), false);
  assert.equal(rules.matches('https://api.anthropic.com', '/v1/messages', 'CONNECT'), false);
});

test('other schemes and broken origins', () => {
  const { rules } = matcher({ includeAllRequests: true, hosts: ['a.example'] });
  for (const origin of ['', 'null', 'api.anthropic.com', 'ftp://api.anthropic.com', 'file:///', 'https://', 'https://a b', 'wss://a.example']) {
    assert.equal(rules.matches(origin, '/v1/messages', 'POST'), false, origin);
  }
  for (const path of ['', '*', 'api.anthropic.com:443', 'https://']) {
    assert.equal(rules.matches('https://api.anthropic.com', path, 'OPTIONS'), false, path);
  }
});

test('answers any strings without throwing, and the same the second time', () => {
  const { rules } = matcher({ hosts: ['*.example', 'https://h/p'] });
  const origin = fc.oneof(fc.string(), fc.webUrl(), fc.constantFrom('https://api.anthropic.com', 'https://h', 'http://x.example'));
  const path = fc.oneof(fc.string(), fc.webPath(), fc.string().map((s) => `/v1/messages${s}`), fc.string().map((s) => `/model/${s}/invoke`));
  fc.assert(fc.property(origin, path, fc.string(), (o, p, m) => {
    const first = rules.matches(o, p, m);
    assert.equal(typeof first, 'boolean');
    assert.equal(rules.matches(o, p, m), first);
  }));
});

test('a program that visits many origins does not make the cache answer wrongly', () => {
  const rules = matcher();
  for (let i = 0; i < 1000; i++) {
    assert.equal(rules.matches(`https://host-${i}.example/v1/messages`), false);
    assert.equal(rules.matches('https://api.anthropic.com/v1/messages'), true);
  }
});
