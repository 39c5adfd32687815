# run by sh -e in the scratch copy of context/
mkdir -p src/sub/deep; printf a > src/a.txt; printf b > src/b.md; printf c > src/sub/c.txt; printf d > src/sub/deep/d.txt; chmod 750 src/sub; chmod 700 src; chmod 755 src/sub/deep; chmod 644 src/a.txt src/b.md src/sub/c.txt src/sub/deep/d.txt
