/* A page of which a module or a style did not arrive (the network changed, the manager was replaced) stays as it is for
   ever: load it again. No module, so that it runs without them; named twice in the page, for it may be what is missing. */
if (!document.documentElement.dataset.boot) {
  document.documentElement.dataset.boot = "watched";
  const isWhole = () => {
    const styles = document.querySelectorAll("link[rel=stylesheet]");
    return document.documentElement.dataset.boot === "begun" && [...styles].every((link) => link.sheet !== null);
  };
  const look = () => {
    if (isWhole()) return;
    document.getElementById("app").textContent = "The page did not arrive whole. It is loaded again.";
    setTimeout(() => location.reload(), 1000);
  };
  if (document.readyState === "complete") look();
  else addEventListener("load", look);
}
