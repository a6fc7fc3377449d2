// The function `take_rates` of the database, created by a migration; `PostgresRateCounters` calls it.
/**
 * The decision of core's `decide` in the database: all counters of a call or none, each locked from its reading to the
 * end of the statement. A counter that is removed while the statement waits for its lock is created again.
 *
 * The commit does not wait for the disk: a crash of the server only makes the last counts too low.
 */
export const createTakeRates = `
  CREATE FUNCTION take_rates(keys text[], limits float8[], windows float8[], algorithms text[])
  RETURNS TABLE (allowed boolean, used float8, "resetMillis" float8) LANGUAGE plpgsql AS $$
  DECLARE
    n int := cardinality(keys);
    counter rate_counters%ROWTYPE;
    at float8;
    every boolean := true;
    rooms boolean[] := '{}';
    uses float8[] := '{}';
    sinces float8[] := '{}';
    ends float8[] := '{}';
  BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    FOR i IN 1..n LOOP
      LOOP
        SELECT * INTO counter FROM rate_counters WHERE key = keys[i] FOR UPDATE;
        EXIT WHEN FOUND;
        INSERT INTO rate_counters (key, used, since, ends_at) VALUES (keys[i], 0, 0, 0) ON CONFLICT DO NOTHING;
      END LOOP;
      at := extract(epoch FROM clock_timestamp()) * 1000;
      IF counter.ends_at <= at THEN
        uses[i] := 0;
        sinces[i] := at;
      ELSIF algorithms[i] = 'fixed-window' THEN
        uses[i] := counter.used;
        sinces[i] := counter.since;
      ELSE
        uses[i] := greatest(0, counter.used - greatest(0, at - counter.since) * limits[i] / windows[i]);
        sinces[i] := greatest(at, counter.since);
      END IF;
      rooms[i] := uses[i] + 1 <= limits[i] + 1e-6;
      every := every AND rooms[i];
    END LOOP;
    FOR i IN 1..n LOOP
      IF every THEN uses[i] := uses[i] + 1; END IF;
      IF algorithms[i] = 'fixed-window' THEN
        ends[i] := sinces[i] + windows[i];
      ELSE
        ends[i] := sinces[i] + uses[i] * windows[i] / limits[i];
      END IF;
      IF every THEN
        UPDATE rate_counters SET used = uses[i], since = sinces[i], ends_at = ends[i] WHERE key = keys[i];
      END IF;
      allowed := rooms[i];
      used := uses[i];
      "resetMillis" := CASE WHEN uses[i] = 0 THEN 0 ELSE greatest(0, ends[i] - at) END;
      RETURN NEXT;
    END LOOP;
  END $$`
