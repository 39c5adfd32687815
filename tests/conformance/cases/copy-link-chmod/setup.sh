# run by sh -e in the scratch copy of context/
printf a>a
