"""What docs/parity.md says around the numbers."""

INTRODUCTION = """\
# Parity: where TensorFlow differs from linreg, and from itself

linreg computes what eager `tf.keras` computes, to the last bit. TensorFlow run in other ways often does not. To see
both with the TensorFlow that is installed:

```sh
linreg parity                                   # every rule, whole runs, known behaviours: about a minute
linreg parity --rules Adam --examples 50        # one rule, more hyper-parameters
linreg parity --html parity.html                # one page, with the divergence drawn step by step
linreg parity --save parity.json                # everything, sorted, the same for the same results (`--json` prints it)
linreg parity --model my.keras --data my.csv --target y   # your own Dense(1) model and its twin, ten epochs on
```

It exits with 0 if nothing differs that is not explained, with 1 if something does, and with 2 if it could not work
(TensorFlow missing, tf_keras 2, a model that linreg cannot represent), with one line that says why.

## What is compared

- **Rules.** SGD, momentum, Nesterov, RMSprop (plain, centered, with momentum, both), Adam and AMSGrad: the rule of
  linreg beside `optimizer.apply`, from parameters at 0, for 20 steps of 250 gradients, log-uniform over 1e-8 to 1e2
  with both signs and zeros. The first example has Keras' defaults, the others random hyper-parameters (`--examples`,
  `--seed`). linreg is given eager TensorFlow's own powers of beta, which are not always the nearest numbers
  ([dialects](dialects.md)).
- **Modes.** Eagerly; as a graph (`tf.function`); compiled by XLA (`jit_compile=True`). Each with oneDNN on and off:
  that is read when TensorFlow is imported, so a second process has the other setting (`--one-setting` leaves it out;
  where TensorFlow has no such switch there is none). On the CPU and, where TensorFlow sees one, on a GPU. No GPU has
  been measured for this page.
- **Whole runs.** Five Dense(1) models in `fit`, with `run_eagerly=True`, as a graph and with `jit_compile=True`, and
  their twins: three batches an epoch, the last one smaller, 12 epochs, unshuffled.
- **Known behaviours** of TensorFlow and Keras ([what tf.keras really does](tf-keras.md)), each tested anew: "as known"
  or "changed".

Each cell tells the worst distance in units in the last place (ULP) over all examples, steps, parameters and state
arrays, its share of the bound, how many numbers are off, and the first step that is. JSON and page hold the input that
shows that step as well: hyper-parameters, gradient, rate, the state before, linreg's number and Keras'.

## What is allowed

A parameter that passes near zero is thousands of ULP off by one rounding of its step, so ULP alone do not tell an error
from a rounding. The bound does: every step adds at most eight roundings to every number (Keras' longest rule has
seven), the steps after it carry them on by the slopes of the rule, and Adam's rate is off by one ULP of each power of
beta; doubled for what is not linear, and again because two runs are compared (`linreg/keras/parity/ours.py`, as in
`linreg/drift.py`). In what was measured here at most 4 % of it is used; a learning rate off by a ten-thousandth or an
epsilon off by a hundredth exceed it (`tests/test_parity.py`).

If `--max-ulp` is not given,

| | allowed | why |
|---|---|---|
| eager, CPU | 0 ULP | each operation is rounded to the nearest number, in Keras' order, here as there |
| graph, CPU, all but RMSprop | 0 ULP | nothing of these rules is rewritten |
| graph, CPU, RMSprop | the bound | g / √x is rewritten, see below |
| XLA; any mode on a GPU | the bound | products and sums are fused, see below |
| whole runs | the bound of `linreg.drift.FollowedRun` | sums over features and rows are added up in other orders |

`--max-ulp N` allows N ULP in every cell of the table instead: with 0, XLA's are found.

## Why the modes differ

- **Graph.** TensorFlow's graph optimizer (its arithmetic optimization) makes g / √x into g · rsqrt(x), and its `rsqrt`
  is up to 2 ULP off. That is RMSprop's step, and all of the difference: with the optimization off it is 0 ULP (tested).
- **XLA.** LLVM fuses a product and a sum into one instruction that rounds once. That is all of the difference for SGD,
  momentum, Nesterov, Adam and AMSGrad: every number of an SGD step is the one rounded once or the one rounded twice
  (tested), and compiled for a processor without the instruction (`XLA_FLAGS=--xla_cpu_max_isa=AVX`, TensorFlow 2.20 and
  2.21) the five rules are 0 ULP. It depends on the processor, then. RMSprop's division is rewritten as well: up to
  TensorFlow 2.20 into g · (1 / √x), both correctly rounded, since 2.21 into a product with an approximate `rsqrt`.
- **oneDNN** changes no rule, which have no sums; it changes matrix products, and so whole runs in their last bits.
"""

VERSIONS = """\
One command each writes a file in `docs/parity`, from which `python -m linreg.keras.parity.report` makes this page. Two
have the same TensorFlow and another Keras. All on one processor, which has fused instructions.
"""
