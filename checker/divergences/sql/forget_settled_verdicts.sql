-- What is settled needs no verdict.
DELETE FROM diverging_judged AS judged USING diverging
WHERE judged.path = diverging.path AND settled
