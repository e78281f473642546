const FERMAT_ROUNDS = 100;
const SMALL_PRIMES = primesBelow(752);
const ROCA_PRIMES = primesBelow(168).filter((prime) => prime > 2);
const ROCA_RESIDUES = ROCA_PRIMES.map(powersOf65537);

/** What makes an RSA modulus weak, as a sentence, or undefined (BR §6.1.1.3, §6.1.6; T28). `modulus` is positive. */
export function modulusProblem(modulus: bigint): string | undefined {
  if (modulus % 2n === 0n) return 'the modulus is even.';
  const residues = SMALL_PRIMES.map((prime) => Number(modulus % BigInt(prime)));
  if (residues.includes(0)) return 'the modulus has a small factor.';
  if (hasRocaFingerprint(residues)) return 'the key was made by a library with the ROCA weakness.';
  if (isFermatClose(modulus)) return 'the two prime factors are too close to each other.';
  return undefined;
}

/** CVE-2017-15361: modulo every small prime the modulus is a power of 65537. */
function hasRocaFingerprint(residues: readonly number[]): boolean {
  // SMALL_PRIMES starts with 2, ROCA_PRIMES with 3.
  return ROCA_RESIDUES.every((powers, index) => powers.has(residues[index + 1]!));
}

/** BR §6.1.6: Fermat's factorization must not succeed in 100 rounds. */
function isFermatClose(modulus: bigint): boolean {
  let a = squareRoot(modulus);
  if (a * a < modulus) a += 1n;
  let rest = a * a - modulus;
  for (let round = 0; round < FERMAT_ROUNDS; round++) {
    if (isSquare(rest)) return true;
    rest += 2n * a + 1n;
    a += 1n;
  }
  return false;
}

function isSquare(value: bigint): boolean {
  // Squares are 0, 1, 4 or 9 modulo 16: this spares most of the roots.
  const low = Number(value & 15n);
  if (low !== 0 && low !== 1 && low !== 4 && low !== 9) return false;
  if (!SQUARES_MOD_5005.has(Number(value % 5005n))) return false;
  const root = squareRoot(value);
  return root * root === value;
}

const SQUARES_MOD_5005 = new Set(Array.from({ length: 5005 }, (_, n) => (n * n) % 5005));

/** The integer part of the square root, by Newton's method from above. */
function squareRoot(value: bigint): bigint {
  if (value < 2n) return value;
  const bits = value.toString(16).length * 4;
  let root = 1n << BigInt((bits + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

function primesBelow(limit: number): number[] {
  const primes: number[] = [];
  for (let n = 2; n < limit; n++) {
    if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  }
  return primes;
}

function powersOf65537(prime: number): Set<number> {
  const powers = new Set<number>();
  for (let power = 1; !powers.has(power); power = (power * 65537) % prime) powers.add(power);
  return powers;
}
