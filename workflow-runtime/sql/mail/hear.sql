update active set heard = mail where run = ?1 returning mail
