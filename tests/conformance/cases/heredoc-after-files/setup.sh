# run by sh -e in the scratch copy of context/
mkdir src; printf file > src/f
