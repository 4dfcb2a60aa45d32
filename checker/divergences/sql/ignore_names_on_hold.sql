-- What only replicas on hold have is missing nowhere: nobody knows yet whether it is to be there.
UPDATE diverging SET cells = translate(cells, '-', '.')
WHERE cells ~ %(pattern)s AND cells LIKE '%%-%%'
