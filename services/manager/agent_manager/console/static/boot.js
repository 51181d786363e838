/* A page whose modules did not all arrive (the network changed, the manager was replaced) stays white for ever: load it
   again. No module, so that it is there before they are. */
addEventListener(
  "error",
  ({ target }) => {
    if (target?.tagName !== "SCRIPT") return;
    document.getElementById("app").textContent = "The page did not arrive whole. It is loaded again.";
    setTimeout(() => location.reload(), 1000);
  },
  true,
);
