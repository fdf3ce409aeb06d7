// SPDX-License-Identifier: Apache-2.0
// llama.mjs - tokens a second of llama.cpp, by the libraries that the npm package node-llama-cpp brings.
//
//   node llama.mjs MODEL.gguf THREADS STREAMS PROMPT TOKENS
//
// STREAMS sequences of PROMPT tokens each; TOKENS are then decoded for each, the likeliest every time. Prints tokens a second:
// of what is decoded, or of the prompts where TOKENS is 0. NODE_PATH's first folder is where the package is looked for.
import {createRequire} from "module";
import {pathToFileURL} from "url";

const find = createRequire((process.env.NODE_PATH ?? ".").split(":")[0] + "/");
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(find.resolve("node-llama-cpp")).href);
const [file, ...numbers] = process.argv.slice(2);
const [threads, streams, prompt, tokens] = numbers.map(Number);

const llama = await getLlama({gpu: false, build: "never", maxThreads: threads, logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: file, gpuLayers: 0});
const context = await model.createContext({
    sequences: streams, contextSize: Math.max(256, prompt + tokens + 8), batchSize: Math.max(512, streams * 8), threads,
    batching: {dispatchSchedule: "nextCycle"}
});
const ids = (seed) => Array.from({length: prompt}, (_, i) => (i * 7919 + seed * 104729 + 11) % 26000);
const sequences = Array.from({length: streams}, () => context.getSequence());

// One sequence: seconds are counted by the caller, from when all have their prompts.
async function* run(sequence, seed) {
    let n = 0;
    for await (const token of sequence.evaluate(ids(seed), {temperature: 0, yieldEogToken: true})) {
        yield token;
        if (++n > tokens) return;
    }
}

if (tokens === 0) {
    await sequences[0].evaluateWithoutGeneratingNewTokens(ids(99).slice(0, 8));
    await sequences[0].clearHistory();
    const start = performance.now();
    await Promise.all(sequences.map((s, i) => s.evaluateWithoutGeneratingNewTokens(ids(i))));
    console.log(Math.round(streams * prompt * 1000 / (performance.now() - start)));
} else {
    const runs = sequences.map((s, i) => run(s, i));
    await Promise.all(runs.map((r) => r.next()));
    const start = performance.now();
    await Promise.all(runs.map(async (r) => { for await (const _ of r); }));
    console.log(Math.round(streams * tokens * 1000 / (performance.now() - start)));
}
process.exit(0);
