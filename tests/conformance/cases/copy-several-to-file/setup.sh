# run by sh -e in the scratch copy of context/
printf a>a; printf b>b; mkdir d1 d2; printf 1 >d1/f; printf 2 >d2/f; printf 3 >d2/g
