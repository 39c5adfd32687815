# run by sh -e in the scratch copy of context/
printf a>a; mkdir d; printf x>d/f; mkdir d/s; chmod 711 d/s; chmod 644 d/f a
