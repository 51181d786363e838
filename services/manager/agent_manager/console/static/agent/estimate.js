/** When a task will probably end: by this agent's past, or by what the task itself says, whichever is later. */

const LEAST_PROGRESS = 0.02;
const LEAST_AGE_SECONDS = 1;

/** Give the seconds that are left, null where nobody knows, and whether the task's own progress says so. */
export function estimate(blocker) {
  const past = blocker.etaSeconds ?? null;
  const own = byProgress(blocker);
  if (own === null || (past !== null && past >= own)) return { seconds: past, byProgress: false };
  return { seconds: own, byProgress: true };
}

/** What is left if the task goes on as fast as it says that it went so far. */
function byProgress({ progress, ageSeconds }) {
  const done = progress?.fraction ?? 0;
  return done < LEAST_PROGRESS || ageSeconds < LEAST_AGE_SECONDS ? null : (ageSeconds * (1 - done)) / done;
}
