import { describe, expect, it } from 'vitest';
import { ask, WAYS } from './kit/callers.ts';
import { expectError, expectWhole, play } from './kit/play.ts';
import { useStage } from './kit/stage.ts';

const stage = useStage();

describe.each(WAYS)('a prompt that is too long, for an answer %s', (way) => {
  const controls = 'fault=context-length';

  it('is told as such where no model takes more, and the model is not asked again', async () => {
    for (const dialect of ['OPENAI', 'ANTHROPIC', 'GEMINI'] as const) {
      const { seen, calls, outcomes } = await play(stage, way, [{ controls, dialect }]);
      expectError(seen, 'CONTEXT_LENGTH_EXCEEDED', 400);
      expect(calls).toEqual([1]);
      expect(outcomes).toEqual(['CONTEXT_LENGTH_EXCEEDED']);
    }
  });

  it('goes to the model with the larger context, past those without one', async () => {
    const parts = [
      { controls, contextTokens: 8_000 },
      { contextTokens: 8_000 },
      { contextTokens: 4_000 },
      { contextTokens: 100_000, dialect: 'ANTHROPIC' as const },
    ];
    const { scene, seen, calls, outcomes } = await play(stage, way, parts);
    const [, , , larger] = scene.actors;
    if (larger) await expectWhole(stage, way, seen, larger);
    expect(calls).toEqual([1, 0, 0, 1]);
    expect(outcomes).toEqual(['CONTEXT_LENGTH_EXCEEDED', 'SUCCEEDED']);
  });

  it('is told as such where only equal models are left', async () => {
    const { seen, calls } = await play(stage, way, [{ controls, contextTokens: 8_000 }, { contextTokens: 8_000 }]);
    expectError(seen, 'CONTEXT_LENGTH_EXCEEDED', 400);
    expect(calls).toEqual([1, 0]);
  });
});

describe.each(WAYS)('a provider that refuses the content of an answer %s', (way) => {
  it('in the middle: the caller has what was said, and why it ends', async () => {
    for (const dialect of ['OPENAI', 'ANTHROPIC', 'GEMINI'] as const) {
      const parts = [{ controls: 'fault=content-filter', dialect }, {}];
      const { scene, seen, calls } = await play(stage, way, parts);
      expect(seen).toMatchObject({ error: null, isWhole: true, finishReason: 'content_filter' });
      const well = await ask(stage.server, scene.actors[0].healthy, way);
      expect(seen.text).not.toBe('');
      expect(well.text.startsWith(seen.text)).toBe(true);
      expect(calls).toEqual([1, 0]);
    }
  });

  it('in the middle, where the route passes refusals on: only an answer that nobody has seen comes from another', async () => {
    const parts = [{ controls: 'fault=content-filter' }, {}];
    const { scene, seen, calls } = await play(stage, way, parts, { refusalPolicy: 'OTHER_TARGET' });
    const [, next] = scene.actors;
    if (way === 'whole on /v1' && next) await expectWhole(stage, way, seen, next);
    else expect(seen).toMatchObject({ error: null, isWhole: true, finishReason: 'content_filter' });
    expect(calls).toEqual(way === 'whole on /v1' ? [1, 1] : [1, 0]);
  });

  const controls = 'fault=content-filter;faultAfter=0';

  it('before it says anything: the caller is told', async () => {
    for (const dialect of ['OPENAI', 'ANTHROPIC', 'GEMINI'] as const) {
      const { seen, calls } = await play(stage, way, [{ controls, dialect }, {}]);
      expect(seen.text).toBe('');
      expect(seen.error?.code ?? seen.finishReason).toMatch(/^(CONTENT_FILTERED|content_filter)$/);
      expect(calls).toEqual([1, 0]);
    }
  });

  it('before it says anything: another one is asked where the route says so', async () => {
    for (const dialect of ['OPENAI', 'ANTHROPIC', 'GEMINI'] as const) {
      const settings = { refusalPolicy: 'OTHER_TARGET' as const };
      const { scene, seen, calls } = await play(stage, way, [{ controls, dialect }, {}], settings);
      const [, next] = scene.actors;
      if (next) await expectWhole(stage, way, seen, next);
      expect(calls).toEqual([1, 1]);
    }
  });

  it('and so does everybody else: the caller is told', async () => {
    const settings = { refusalPolicy: 'OTHER_TARGET' as const };
    const { seen, calls } = await play(stage, way, [{ controls }, { controls, dialect: 'GEMINI' }], settings);
    expect(seen.text).toBe('');
    expect(seen.error?.code ?? seen.finishReason).toMatch(/^(CONTENT_FILTERED|content_filter)$/);
    expect(calls).toEqual([1, 1]);
  });
});

describe.each(WAYS)('a fallback that refuses to continue the assistant, for an answer %s', (way) => {
  const question = {
    messages: [
      { role: 'user', content: 'Where is the night train?' },
      { role: 'assistant', content: 'The night train is' },
    ],
  };
  const fallback = { controls: 'fault=prefill', dialect: 'ANTHROPIC' as const };

  it('gives the word back to the first provider, which answers', async () => {
    const parts = [{ controls: 'status=503;times=1' }, fallback];
    const { scene, seen, calls, outcomes } = await play(stage, way, parts, {}, question);
    await expectWhole(stage, way, seen, scene.actors[0], question);
    expect(calls).toEqual([2, 1]);
    expect(outcomes).toEqual(['UPSTREAM', 'VALIDATION', 'SUCCEEDED']);
  });

  it('is not what the caller hears of: what the first provider failed at is', async () => {
    const { scene, seen, calls } = await play(stage, way, [{ controls: 'status=503' }, fallback], {}, question);
    expectError(seen, 'UPSTREAM', 503);
    expect(seen.error?.message).toContain(scene.actors[0].slug);
    expect(calls).toEqual([3, 1]);
  });

  it('is heard of when nobody else is there', async () => {
    const { seen, calls } = await play(stage, way, [fallback], {}, question);
    expectError(seen, 'VALIDATION', 400);
    expect(seen.error?.message).toContain('does not support assistant message prefill');
    expect(calls).toEqual([1]);
  });

  it('as the first provider gives the word to the next', async () => {
    const { scene, seen, calls } = await play(stage, way, [fallback, {}], {}, question);
    const [, next] = scene.actors;
    if (next) await expectWhole(stage, way, seen, next, question);
    expect(calls).toEqual([1, 1]);
  });
});
